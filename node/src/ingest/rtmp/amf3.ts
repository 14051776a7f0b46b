/**
 * AMF3 decoding (Adobe "Action Message Format AMF 3"). Clients use it inside AMF0 values (marker 0x11) and for messages of
 * types 15 and 17; this server answers in AMF0, which every client that speaks AMF3 reads as well.
 */
import { KairoError } from '../../errors.ts'
import type { AmfBudget, AmfCursor, AmfObject, AmfValue } from './amf-value.ts'

const MARKER = {
  undefined: 0x00,
  null: 0x01,
  false: 0x02,
  true: 0x03,
  integer: 0x04,
  double: 0x05,
  string: 0x06,
  xmlDocument: 0x07,
  date: 0x08,
  array: 0x09,
  object: 0x0a,
  xml: 0x0b,
  byteArray: 0x0c,
  vectorInt: 0x0d,
  vectorUint: 0x0e,
  vectorDouble: 0x0f,
  vectorObject: 0x10,
  dictionary: 0x11,
} as const

interface Traits {
  readonly names: readonly string[]
  readonly dynamic: boolean
}

/** Decodes AMF3 values that share reference tables. */
export class Amf3Decoder {
  readonly #cursor: AmfCursor
  readonly #budget: AmfBudget
  readonly #strings: string[] = []
  readonly #objects: AmfValue[] = []
  readonly #traits: Traits[] = []

  constructor(cursor: AmfCursor, budget: AmfBudget) {
    this.#cursor = cursor
    this.#budget = budget
  }

  /**
   * The next value.
   * @throws KairoError `ERR_PROTOCOL` for malformed bytes, `ERR_LIMIT` for too many values or too deep nesting.
   */
  value(): AmfValue {
    this.#budget.item()
    const marker = this.#cursor.u8()
    switch (marker) {
      case MARKER.undefined:
        return undefined
      case MARKER.null:
        return null
      case MARKER.false:
        return false
      case MARKER.true:
        return true
      case MARKER.integer:
        // 29 bits, signed.
        return (this.#u29() << 3) >> 3
      case MARKER.double:
        return this.#cursor.double()
      case MARKER.string:
        return this.#string()
      default:
        return this.#budget.nested(() => this.#referable(marker))
    }
  }

  /** Types that live in the object table: a number whose low bit is clear refers to an earlier one. */
  #referable(marker: number): AmfValue {
    if (marker > MARKER.dictionary) {
      throw new KairoError('ERR_PROTOCOL', `unknown AMF3 marker ${marker}`)
    }
    const head = this.#u29()
    if ((head & 1) === 0) return this.#reference(this.#objects, head >> 1)
    const rest = head >> 1
    switch (marker) {
      case MARKER.xmlDocument:
      case MARKER.xml:
        return this.#remember(this.#cursor.text(rest))
      case MARKER.date:
        return this.#remember(new Date(this.#cursor.double()))
      case MARKER.array:
        return this.#array(rest)
      case MARKER.object:
        return this.#object(rest)
      case MARKER.byteArray:
        return this.#remember(this.#cursor.bytes(rest))
      case MARKER.dictionary:
        return this.#dictionary(rest)
      default:
        return this.#vector(marker, rest)
    }
  }

  #array(denseCount: number): AmfValue {
    const named = new Map<string, AmfValue>()
    const dense: AmfValue[] = []
    const slot = this.#objects.push(dense) - 1
    for (let name = this.#string(); name !== ''; name = this.#string()) {
      named.set(name, this.value())
    }
    for (let index = 0; index < denseCount; index += 1) dense.push(this.value())
    if (named.size === 0) return dense
    // A mixed array becomes a map, its dense part under the names 0, 1, 2.
    for (const [index, item] of dense.entries()) named.set(String(index), item)
    this.#objects[slot] = named
    return named
  }

  #object(head: number): AmfObject {
    const traits = this.#readTraits(head)
    const object = new Map<string, AmfValue>()
    this.#objects.push(object)
    for (const name of traits.names) object.set(name, this.value())
    if (traits.dynamic) {
      for (let name = this.#string(); name !== ''; name = this.#string()) {
        object.set(name, this.value())
      }
    }
    return object
  }

  #readTraits(head: number): Traits {
    if ((head & 1) === 0) return this.#reference(this.#traits, head >> 1)
    if ((head & 2) !== 0) {
      throw new KairoError('ERR_PROTOCOL', 'externalizable AMF3 objects are not supported')
    }
    this.#string() // class name
    const names: string[] = []
    for (let count = head >> 3; count > 0; count -= 1) {
      this.#budget.item()
      names.push(this.#string())
    }
    const traits = { names, dynamic: (head & 4) !== 0 }
    this.#traits.push(traits)
    return traits
  }

  #vector(marker: number, count: number): AmfValue {
    this.#cursor.u8() // fixed length
    if (marker === MARKER.vectorObject) this.#string() // type name
    const items: AmfValue[] = []
    this.#objects.push(items)
    for (let index = 0; index < count; index += 1) items.push(this.#vectorItem(marker))
    return items
  }

  #vectorItem(marker: number): AmfValue {
    if (marker === MARKER.vectorObject) return this.value()
    this.#budget.item()
    if (marker === MARKER.vectorInt) return this.#cursor.i32()
    return marker === MARKER.vectorUint ? this.#cursor.u32() : this.#cursor.double()
  }

  #dictionary(count: number): AmfValue {
    this.#cursor.u8() // weak keys
    const object = new Map<string, AmfValue>()
    this.#objects.push(object)
    for (let index = 0; index < count; index += 1) {
      const key = this.value()
      const name = typeof key === 'object' && key !== null ? `#${index}` : String(key)
      object.set(name, this.value())
    }
    return object
  }

  /** A string without marker; the empty one is never put into the table. */
  #string(): string {
    const head = this.#u29()
    if ((head & 1) === 0) return this.#reference(this.#strings, head >> 1)
    const text = this.#cursor.text(head >> 1)
    if (text !== '') this.#strings.push(text)
    return text
  }

  #remember<T extends AmfValue>(value: T): T {
    this.#objects.push(value)
    return value
  }

  #reference<T>(table: readonly T[], index: number): T {
    if (index >= table.length) {
      throw new KairoError('ERR_PROTOCOL', 'an AMF3 reference points nowhere')
    }
    return table[index] as T
  }

  /** 29 bits in one to four bytes; the fourth gives eight of them. */
  #u29(): number {
    let value = 0
    for (let index = 0; index < 3; index += 1) {
      const byte = this.#cursor.u8()
      value = (value << 7) | (byte & 0x7f)
      if (byte < 0x80) return value
    }
    return (value << 8) | this.#cursor.u8()
  }
}
