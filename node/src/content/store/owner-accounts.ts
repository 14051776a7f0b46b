/**
 * Who has how much of the disk: one account a tenant and one a stream, each with its bound. An owner over its bound gives up
 * objects of its own, those that were not used lately first, and never anybody else's.
 */
import assert from 'node:assert/strict'
import { storeLimits } from '../../limits/store.ts'
import { type Digest, digestOf } from '../digest.ts'
import { Chain, type Link } from '../eviction/chain.ts'
import type { ObjectClass } from '../eviction/s3-fifo.ts'

/** Whose object it is. */
export interface ObjectOwner {
  /** A host rule, or the peer that publishes streams. */
  readonly tenant: string
  /** A stream id. */
  readonly stream?: string
}

/** An owner whose names are no longer than the catalog takes: longer ones are named by their digest. */
export function boundedOwner(owner: ObjectOwner): ObjectOwner {
  const tenant = boundedName(owner.tenant)
  return owner.stream === undefined || owner.stream === ''
    ? { tenant }
    : { tenant, stream: boundedName(owner.stream) }
}

/** A name no longer than the catalog takes. */
export function boundedName(name: string): string {
  const isShort = Buffer.byteLength(name) <= storeLimits.ownerNameBytesMax
  return isShort ? name : digestOf(Buffer.from(name))
}

/** What an account is of. */
export type AccountKind = 'tenant' | 'stream'

/** Bounds of accounts, bytes; 0 for none. */
export interface OwnerAccountsInit {
  readonly streamBytesMax: number
  readonly tenantBytesMax: number
}

interface Share extends Link<Share> {
  readonly digest: Digest
  readonly account: Account
  chain: Chain<Share> | undefined
}

interface Account {
  readonly kind: AccountKind
  readonly name: string
  bytes: number
  objects: number
  readonly loose: Chain<Share>
  readonly live: Chain<Share>
}

/** One object in the accounts of its owner. */
export interface OwnedObject {
  readonly owner: ObjectOwner
  readonly bytes: number
  readonly shares: readonly Share[]
}

/** Bytes and bound of an owner. */
export interface AccountUsage {
  readonly bytes: number
  readonly objects: number
  /** 0 for none. */
  readonly bytesMax: number
}

/** The accounts of all owners. */
export class OwnerAccounts {
  readonly #init: OwnerAccountsInit
  readonly #accounts = new Map<string, Account>()
  /** Bounds of single tenants in place of the common one. */
  readonly #tenantMax = new Map<string, number>()

  constructor(init: OwnerAccountsInit) {
    this.#init = init
  }

  /** Owners with objects. */
  get size(): number {
    return this.#accounts.size
  }

  /** Sets a tenant's own bound, 0 for none; undefined takes it back. */
  setTenantMax(tenant: string, bytesMax: number | undefined): void {
    if (bytesMax === undefined) this.#tenantMax.delete(tenant)
    else this.#tenantMax.set(tenant, bytesMax)
  }

  /** What an owner has. */
  usageOf(kind: AccountKind, name: string): AccountUsage {
    const account = this.#accounts.get(keyOf(kind, name))
    const { bytes, objects } = account ?? { bytes: 0, objects: 0 }
    return { bytes, objects, bytesMax: this.#maxOf(kind, name) }
  }

  /** Accounts that are over their bound. */
  overdrawn(): { readonly kind: AccountKind; readonly name: string }[] {
    const accounts = [...this.#accounts.values()]
    return accounts.filter(({ kind, name, bytes }) => {
      const bytesMax = this.#maxOf(kind, name)
      return bytesMax > 0 && bytes > bytesMax
    })
  }

  /** The account in which this many bytes more are too many, if there is one. */
  over(
    owner: ObjectOwner,
    bytes: number,
  ): { readonly kind: AccountKind; readonly name: string } | undefined {
    for (const [kind, name] of partsOf(owner)) {
      const bytesMax = this.#maxOf(kind, name)
      const account = this.#accounts.get(keyOf(kind, name))
      if (bytesMax > 0 && (account?.bytes ?? 0) + bytes > bytesMax) return { kind, name }
    }
    return undefined
  }

  /** True when the owner could have an object of this size if all else that may go went. */
  couldFit(owner: ObjectOwner, bytes: number): boolean {
    return partsOf(owner).every(([kind, name]) => {
      const bytesMax = this.#maxOf(kind, name)
      return bytesMax === 0 || bytes <= bytesMax
    })
  }

  /**
   * What the owner's account gives up next: of its loose objects the oldest that `spare` does not let go round, else the oldest
   * of its live windows; undefined when it has only kept ones.
   */
  victim(kind: AccountKind, name: string, spare: (digest: Digest) => boolean): Digest | undefined {
    const account = this.#accounts.get(keyOf(kind, name))
    if (account === undefined) return undefined
    const { loose, live } = account
    for (let round = 0; round < storeLimits.quotaRoundsMax; round += 1) {
      const oldest = loose.first
      if (oldest === undefined || !spare(oldest.digest)) break
      loose.remove(oldest)
      loose.push(oldest)
    }
    return (loose.first ?? live.first)?.digest
  }

  /** Counts an object for its owner; undefined when there are too many owners. */
  enter(
    digest: Digest,
    bytes: number,
    owner: ObjectOwner,
    objectClass: ObjectClass,
  ): OwnedObject | undefined {
    const parts = partsOf(owner)
    const unknown = parts.filter(([kind, name]) => !this.#accounts.has(keyOf(kind, name)))
    if (this.#accounts.size + unknown.length > storeLimits.ownersMax) return undefined
    const shares = parts.map(([kind, name]): Share => {
      const account = this.#accountOf(kind, name)
      account.bytes += bytes
      account.objects += 1
      return { digest, account, chain: undefined, previous: undefined, next: undefined }
    })
    const object = { owner, bytes, shares }
    this.setClass(object, objectClass)
    return object
  }

  /** The object is gone. */
  leave(object: OwnedObject): void {
    for (const share of object.shares) {
      const { account } = share
      share.chain?.remove(share)
      share.chain = undefined
      account.bytes -= object.bytes
      account.objects -= 1
      assert(account.bytes >= 0 && account.objects >= 0, 'an account never owes')
      if (account.objects === 0) this.#accounts.delete(keyOf(account.kind, account.name))
    }
  }

  /** The object's class has changed. */
  setClass(object: OwnedObject, objectClass: ObjectClass): void {
    for (const share of object.shares) {
      const { loose, live } = share.account
      share.chain?.remove(share)
      share.chain = { loose, live, kept: undefined }[objectClass]
      share.chain?.push(share)
    }
  }

  #maxOf(kind: AccountKind, name: string): number {
    if (kind === 'stream') return this.#init.streamBytesMax
    return this.#tenantMax.get(name) ?? this.#init.tenantBytesMax
  }

  #accountOf(kind: AccountKind, name: string): Account {
    const key = keyOf(kind, name)
    const known = this.#accounts.get(key)
    if (known !== undefined) return known
    const account = {
      kind,
      name,
      bytes: 0,
      objects: 0,
      loose: new Chain<Share>(),
      live: new Chain<Share>(),
    }
    this.#accounts.set(key, account)
    return account
  }
}

function partsOf(owner: ObjectOwner): [AccountKind, string][] {
  const parts: [AccountKind, string][] = [['tenant', owner.tenant]]
  if (owner.stream !== undefined) parts.push(['stream', owner.stream])
  return parts
}

function keyOf(kind: AccountKind, name: string): string {
  return `${kind} ${name}`
}
