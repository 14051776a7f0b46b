/**
 * Makes the driver's limits small, so that a short run meets them: snapshots after some dozens of entries and in several pieces,
 * followers that need one after a short absence. To be imported before anything that imports the driver.
 */
import { driverLimits } from '../../../src/driver/driver-limits.ts'

const limits: { -readonly [Name in keyof typeof driverLimits]: number } = driverLimits

limits.pieceBytes = 2_048
limits.transferIdleMs = 1_000
limits.fullRetryMsMax = 500

/** Sets how soon the groups of a run take a snapshot, and how many entries behind it they keep in memory. */
export function setSnapshotLimits(snapshotEntries: number, tailEntries: number): void {
  limits.snapshotEntries = snapshotEntries
  limits.tailEntries = tailEntries
}
