/** The first half of the simulated runs; a file of its own, so that both halves run at the same time. */
import { testSeeds } from '../support/simulation/seed-test.ts'

testSeeds(0)
