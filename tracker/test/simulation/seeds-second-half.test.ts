/** The second half of the simulated runs. */
import { testSeeds } from '../support/simulation/seed-test.ts'

testSeeds(1)
