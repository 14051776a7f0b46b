/** The second half of the simulated runs of whole members; the other is a file of its own, so that both run at the same time. */
import { testSeeds } from '../support/simulation/seed-test.ts'

testSeeds('members', 1)
