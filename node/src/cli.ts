#!/usr/bin/env node
/** The `kairo` program: picks the command, runs it, and turns its failure into a message and an exit code. */
import { enableCompileCache } from 'node:module'

// Half of the start-up time is compiling libraries; the cache makes it one time's cost.
enableCompileCache()

const { runCli } = await import('./cli/run.ts')
process.exitCode = await runCli(process.argv.slice(2))
// The command is over. A library that still holds a socket or a handle, on a disk that is full or towards a peer that is gone, must not
// keep the process from ending; where nothing is left, this does not either.
setTimeout(() => process.exit(), 3_000).unref()
