/** What is good manners where nobody says otherwise. */
export const mannersLimits = {
  /** Below this level a battery that is not being charged is spared; phones warn there. */
  batteryLevelMin: 0.2,
  /** The most that is sent, kbit/s: what a home can spare of an uplink of 20 Mbit/s without calls and games suffering. */
  uploadKbpsDefault: 10_000,
} as const
