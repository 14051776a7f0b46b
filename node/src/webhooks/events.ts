/** What webhooks tell, and the data that come with each. Times are Unix milliseconds; nothing here is secret. */

/** The data of each event, by its name. */
export interface WebhookEvents {
  /** A stream is live. */
  'stream.started': {
    readonly stream: string
    readonly streamId: string
    readonly protocol: string
  }
  /** The connection of a stream's publisher is gone; the stream waits for it. */
  'stream.publisher_lost': { readonly stream: string; readonly reason: string }
  /** A stream has ended for good. */
  'stream.ended': { readonly stream: string }
  'recording.started': { readonly stream: string; readonly recording: string }
  /** The recording is a video of the library. */
  'recording.ready': {
    readonly stream: string
    readonly recording: string
    readonly durationMs: number
  }
  'recording.failed': {
    readonly stream: string
    readonly recording: string
    readonly error: string
  }
  /** A video can be watched. */
  'vod.ready': { readonly video: string; readonly title: string; readonly durationMs: number }
  'vod.failed': { readonly video: string; readonly title: string; readonly error: string }
  /** A restream target failed; told once for failures in a row. `final`: it is not tried again. */
  'restream.failed': {
    readonly stream: string
    readonly target: string
    /** Scheme, host and port. */
    readonly host: string
    readonly error: string
    readonly final: boolean
  }
  /** Rungs of a stream's ladder are not made. */
  'transcode.degraded': {
    readonly stream: string
    readonly rungs: readonly string[]
    readonly reason: string
  }
  /** Something that an operator should look at. */
  error: { readonly code: string; readonly message: string }
  /** Asked for by an operator, to see that an endpoint hears. */
  'webhook.test': { readonly message: string }
}

/** The name of an event. */
export type WebhookEvent = keyof WebhookEvents

/** Tells an event; what the other rooms are given. */
export type EmitWebhook = <Event extends WebhookEvent>(
  event: Event,
  data: WebhookEvents[Event],
) => void
