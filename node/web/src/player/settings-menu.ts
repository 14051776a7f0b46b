/** What the player's menu offers: quality, speed, sound tracks, captions. */

import { autoId, type Choice, type Choices } from './choices.ts'
import type { Setting } from './menu.ts'

/** What a choice does. */
export interface SettingActions {
  readonly quality: (id: string) => void
  readonly rate: (rate: number) => void
  readonly sound: (id: string) => void
  /** Captions by their id, or none. */
  readonly captions: (id: string | undefined) => void
}

/** Speeds that are offered, and that `<` and `>` step through. */
export const rates: readonly number[] = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]

const offId = 'off'

/** The settings of a stream with these choices; those without a choice are left out. */
export function playerSettings(
  choices: Choices,
  rate: number,
  actions: SettingActions,
): readonly Setting[] {
  const { qualities, sounds, captions } = choices
  const settings: Setting[] = []
  if (qualities.length > 0) {
    settings.push({
      name: 'Quality',
      value: qualityValue(qualities, choices.playing),
      choices: qualities,
      choose: actions.quality,
    })
  }
  settings.push({
    name: 'Speed',
    value: rateText(rate),
    choices: rates.map((each) => ({
      id: String(each),
      label: rateText(each),
      detail: '',
      selected: each === rate,
    })),
    choose: (id) => actions.rate(Number(id)),
  })
  if (sounds.length > 0) {
    settings.push({
      name: 'Sound',
      value: selectedLabel(sounds),
      choices: sounds,
      choose: actions.sound,
    })
  }
  if (captions.length > 0) {
    const isOff = captions.every(({ selected }) => !selected)
    settings.push({
      name: 'Captions',
      value: isOff ? 'Off' : selectedLabel(captions),
      choices: [{ id: offId, label: 'Off', detail: '', selected: isOff }, ...captions],
      choose: (id) => actions.captions(id === offId ? undefined : id),
    })
  }
  return settings
}

function selectedLabel(choices: readonly Choice[]): string {
  return choices.find(({ selected }) => selected)?.label ?? ''
}

/** `Auto (720p)`, or what was chosen. */
function qualityValue(qualities: readonly Choice[], playing: string): string {
  const chosen = qualities.find(({ selected }) => selected)
  if (chosen === undefined) return playing
  return chosen.id === autoId && playing !== '' ? `Auto (${playing})` : chosen.label
}

/** `Normal`, `1.5×`. */
export function rateText(rate: number): string {
  return rate === 1 ? 'Normal' : `${rate}×`
}
