#!/usr/bin/env node
/** The `kairo` program: picks the command, runs it, and turns its failure into a message and an exit code. */
import { enableCompileCache } from 'node:module'

// Half of the start-up time is compiling libraries; the cache makes it one time's cost.
enableCompileCache()

const { runCli } = await import('./cli/run.ts')
process.exitCode = await runCli(process.argv.slice(2))
