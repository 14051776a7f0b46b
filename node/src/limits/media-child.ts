/** Every bound of the media children: their number, memory, time and queues. */

const KiB = 1024
const MiB = 1024 * KiB

/** The pool of child processes and the pipe to each of them. */
export const mediaChildLimits = {
  /** One frame of the pipe; an 8K keyframe at high quality and a sprite of pictures stay below this. */
  frameBytesMax: 32 * MiB,
  /** The JSON of one message: a result with the keyframes of a long film is the largest. */
  jsonBytesMax: 8 * MiB,
  /** Inputs and outputs a job may number; the pipe has one byte for it. */
  portsMax: 64,
  /** Units that wait for a child that does not read: beyond this it is taken for stuck. About 10 s of a 50 Mbit/s source. */
  queuedBytesMax: 64 * MiB,
  /** What a child may have waiting for the peer to read before its job pauses. */
  outputBytesMax: 2 * MiB,
  /** Threads of libuv in a child, so that one blocked read of a file never holds up the pipe. */
  threadPoolSize: 16,
  /** Time from fork to being ready; loading FFmpeg from a cold disk is most of it. */
  startMsMax: 20_000,
  /** Time between two signs of life of a child. */
  progressMs: 250,
  /** Silence of a live job after which its child is killed; viewers wait for what it makes. */
  liveSilenceMsMax: 2_500,
  /** Silence of any job before its first output, and of those that nobody waits for: one slow call of FFmpeg is no hang. */
  silenceMsMax: 20_000,
  /** A job that has input and neither takes any nor makes anything for this long is stuck, though its child still beats. */
  stuckMsMax: 20_000,
  /** What is added to the time that a remote job itself was given, since one call of FFmpeg may last that long. */
  remoteGraceMs: 5_000,
  /** A watchdog that is due asks again after this: a peer that was itself held up reads what waits first. */
  watchdogGraceMs: 200,
  /** Time for a child to be gone after its job is done. */
  lingerMsMax: 2_000,
  /** Resident memory of a child with an encoding job: two 4K encoders with their look-ahead. */
  encoderRssBytesMax: 4_096 * MiB,
  /** Resident memory of a child with any other job. */
  rssBytesMax: 1_536 * MiB,
  /** Last bytes of a child's error output, kept for the log. */
  stderrBytesMax: 4 * KiB,
  /** Characters of a child's error message that are kept. */
  reasonCharsMax: 2_000,
  /** Wait before a used-up warm child is replaced, so that the job which took it begins undisturbed. */
  refillMs: 500,
  /** Longest wait before a warm child that failed is replaced; the wait doubles with each failure in a row. */
  refillMsMax: 60_000,
  /** Niceness of children whose work nobody waits for. */
  backgroundNiceness: 10,
  /** A job gives its child's event loop a turn at least this often, for signs of life and for the pipe. */
  turnMs: 40,
} as const
