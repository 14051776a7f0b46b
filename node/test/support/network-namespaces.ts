/** Machines with addresses of their own on one wire, made of network namespaces; needs root and `ip`. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import type { Test } from 'tap'

/** `false` when namespaces may be made here, else the reason to skip. */
export function needsNamespaces(): string | false {
  const name = `kairo-try-${process.pid}`
  try {
    ip('netns', 'add', name)
    ip('-n', name, 'link', 'add', 'br0', 'type', 'bridge')
    return false
  } catch (error) {
    return `needs network namespaces, not permitted here: ${(error as Error).message.split('\n', 1)[0]}`
  } finally {
    try {
      ip('netns', 'del', name)
    } catch {
      // It was not made.
    }
  }
}

/** A wire to which namespaces are connected; all is gone at the end of the test. */
export class Wire {
  readonly #t: Test
  readonly #prefix = `kairo-${process.pid}-${Math.floor(Math.random() * 1e6)}`
  readonly #bridge: string
  #ports = 0

  constructor(t: Test) {
    this.#t = t
    this.#bridge = this.add('wire')
    ip('-n', this.#bridge, 'link', 'add', 'br0', 'type', 'bridge')
    ip('-n', this.#bridge, 'link', 'set', 'br0', 'up')
  }

  /** A namespace that is connected to nothing. Returns its name. */
  add(name: string): string {
    const namespace = `${this.#prefix}-${name}`
    ip('netns', 'add', namespace)
    this.#t.teardown(() => ip('netns', 'del', namespace))
    ip('-n', namespace, 'link', 'set', 'lo', 'up')
    return namespace
  }

  /** A machine on the wire, which takes every other address to be there too. Returns its name. */
  machine(name: string, address: string): string {
    const namespace = this.add(name)
    const port = `p${this.#ports++}`
    connectPair(namespace, 'eth0', this.#bridge, port)
    ip('-n', this.#bridge, 'link', 'set', port, 'master', 'br0')
    ip('-n', namespace, 'addr', 'add', `${address}/32`, 'dev', 'eth0')
    ip('-n', namespace, 'route', 'add', 'default', 'dev', 'eth0')
    return namespace
  }

  /** A machine at home, all of whose connections to the networks end in the namespace `inner`. */
  home(name: string, networks: readonly string[]): { home: string; inner: string } {
    const [home, inner] = [this.add(name), this.add(`${name}-nat`)]
    connectPair(home, 'eth0', inner, 'eth0')
    ip('-n', home, 'addr', 'add', '192.168.1.2/24', 'dev', 'eth0')
    ip('-n', inner, 'addr', 'add', '192.168.1.1/24', 'dev', 'eth0')
    ip('-n', home, 'route', 'add', 'default', 'via', '192.168.1.1')
    for (const network of networks) {
      ip('-n', inner, 'route', 'add', 'local', network, 'dev', 'lo', 'table', 'local')
    }
    return { home, inner }
  }
}

/** Runs a TypeScript program in a namespace; killed at the end of the test. */
export function runIn(t: Test, namespace: string, program: string, args: string[]): ChildProcess {
  const command = ['netns', 'exec', namespace, process.execPath, program, ...args]
  const env = { ...process.env, NODE_OPTIONS: '' }
  const child = spawn('ip', command, { stdio: ['pipe', 'pipe', 'inherit'], env })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

function connectPair(left: string, leftName: string, right: string, rightName: string): void {
  ip('-n', left, 'link', 'add', leftName, 'type', 'veth', 'peer', rightName, 'netns', right)
  ip('-n', left, 'link', 'set', leftName, 'up')
  ip('-n', right, 'link', 'set', rightName, 'up')
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
