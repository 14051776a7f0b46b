/** How the user calls this program, so that the commands it shows work as they are typed. */

type Environment = Readonly<Record<string, string | undefined>>

/** `kairo` where it is installed, `npx kairo` where npm started it: in a clone it is on no search path. */
export function programName(env: Environment = process.env): string {
  return env.npm_command === undefined ? 'kairo' : 'npx kairo'
}

/** What starts a peer. In a fresh clone only `npm start` works, since it installs; so who came by it is told of it. */
export function startCommand(env: Environment = process.env): string {
  return env.npm_lifecycle_event === 'start' ? 'npm start --' : `${programName(env)} up`
}
