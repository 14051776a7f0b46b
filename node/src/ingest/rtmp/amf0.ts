/**
 * AMF0 (Adobe "Action Message Format AMF 0"): decodes every type that a client may send, encodes what this server answers.
 */
import assert from 'node:assert/strict'
import { KairoError } from '../../errors.ts'
import { AmfBudget, AmfCursor, type AmfObject, type AmfValue } from './amf-value.ts'
import { Amf3Decoder } from './amf3.ts'

const MARKER = {
  number: 0x00,
  boolean: 0x01,
  string: 0x02,
  object: 0x03,
  null: 0x05,
  undefined: 0x06,
  reference: 0x07,
  ecmaArray: 0x08,
  objectEnd: 0x09,
  strictArray: 0x0a,
  date: 0x0b,
  longString: 0x0c,
  unsupported: 0x0d,
  xmlDocument: 0x0f,
  typedObject: 0x10,
  amf3: 0x11,
} as const

const SHORT_STRING_BYTES_MAX = 0xffff

/**
 * Decodes all values of one message, one after the other. Values marked AMF3 inside are decoded as such.
 * @throws KairoError `ERR_PROTOCOL` for malformed bytes, `ERR_LIMIT` for too many values or too deep nesting.
 */
export function decodeAmf0(bytes: Uint8Array, offset = 0): AmfValue[] {
  const cursor = new AmfCursor(bytes, offset)
  const decoder = new Amf0Decoder(cursor, new AmfBudget())
  const values: AmfValue[] = []
  while (cursor.left > 0) values.push(decoder.value())
  return values
}

/** Encodes values one after the other. Byte arrays have no AMF0 form and are programmer errors. */
export function encodeAmf0(values: readonly AmfValue[]): Buffer {
  return Buffer.concat(values.map(encodeValue))
}

class Amf0Decoder {
  readonly #cursor: AmfCursor
  readonly #budget: AmfBudget
  /** Objects so far, for reference markers. */
  readonly #references: AmfValue[] = []

  constructor(cursor: AmfCursor, budget: AmfBudget) {
    this.#cursor = cursor
    this.#budget = budget
  }

  value(): AmfValue {
    this.#budget.item()
    const cursor = this.#cursor
    const marker = cursor.u8()
    switch (marker) {
      case MARKER.number:
        return cursor.double()
      case MARKER.boolean:
        return cursor.u8() !== 0
      case MARKER.string:
        return cursor.text(cursor.u16())
      case MARKER.null:
        return null
      case MARKER.undefined:
      case MARKER.unsupported:
        return undefined
      case MARKER.date:
        return this.#date()
      case MARKER.longString:
      case MARKER.xmlDocument:
        return cursor.text(cursor.u32())
      case MARKER.amf3:
        // Each switch starts with empty reference tables (AMF3 4.1).
        return new Amf3Decoder(cursor, this.#budget).value()
      case MARKER.reference:
        return this.#reference(cursor.u16())
      default:
        return this.#budget.nested(() => this.#complex(marker))
    }
  }

  #complex(marker: number): AmfValue {
    switch (marker) {
      case MARKER.object:
        return this.#properties()
      case MARKER.ecmaArray:
        // The count is a hint that encoders get wrong; the end marker counts.
        this.#cursor.u32()
        return this.#properties()
      case MARKER.typedObject:
        this.#cursor.text(this.#cursor.u16())
        return this.#properties()
      case MARKER.strictArray:
        return this.#strictArray(this.#cursor.u32())
      default:
        throw new KairoError('ERR_PROTOCOL', `unknown AMF0 marker ${marker}`)
    }
  }

  #properties(): AmfObject {
    const object = new Map<string, AmfValue>()
    this.#references.push(object)
    for (;;) {
      const name = this.#cursor.text(this.#cursor.u16())
      if (name === '' && this.#cursor.next === MARKER.objectEnd) {
        this.#cursor.u8()
        return object
      }
      object.set(name, this.value())
    }
  }

  #strictArray(count: number): AmfValue {
    const items: AmfValue[] = []
    this.#references.push(items)
    for (let index = 0; index < count; index += 1) items.push(this.value())
    return items
  }

  #date(): Date {
    const date = new Date(this.#cursor.double())
    this.#cursor.u16() // time zone, reserved
    return date
  }

  #reference(index: number): AmfValue {
    const value = this.#references[index]
    if (value === undefined) {
      throw new KairoError('ERR_PROTOCOL', 'an AMF0 reference points nowhere')
    }
    return value
  }
}

function encodeValue(value: AmfValue): Buffer {
  if (value === null) return Buffer.of(MARKER.null)
  switch (typeof value) {
    case 'undefined':
      return Buffer.of(MARKER.undefined)
    case 'boolean':
      return Buffer.of(MARKER.boolean, value ? 1 : 0)
    case 'number':
      return encodeDouble(MARKER.number, value)
    case 'string':
      return encodeString(value)
    default:
      return encodeComplex(value)
  }
}

function encodeComplex(value: Exclude<AmfValue, number | boolean | string | null | undefined>) {
  if (value instanceof Map) {
    const parts: Buffer[] = [Buffer.of(MARKER.object)]
    for (const [name, property] of value) parts.push(encodeName(name), encodeValue(property))
    parts.push(Buffer.of(0, 0, MARKER.objectEnd))
    return Buffer.concat(parts)
  }
  if (value instanceof Date) {
    return Buffer.concat([encodeDouble(MARKER.date, value.getTime()), Buffer.of(0, 0)])
  }
  assert(Array.isArray(value), 'AMF0 has no byte arrays')
  const head = Buffer.alloc(5)
  head.writeUInt8(MARKER.strictArray)
  head.writeUInt32BE(value.length, 1)
  return Buffer.concat([head, ...value.map(encodeValue)])
}

function encodeDouble(marker: number, value: number): Buffer {
  const buffer = Buffer.alloc(9)
  buffer.writeUInt8(marker)
  buffer.writeDoubleBE(value, 1)
  return buffer
}

function encodeString(text: string): Buffer {
  const bytes = Buffer.byteLength(text)
  if (bytes <= SHORT_STRING_BYTES_MAX) {
    return Buffer.concat([Buffer.of(MARKER.string), encodeName(text)])
  }
  const buffer = Buffer.alloc(5 + bytes)
  buffer.writeUInt8(MARKER.longString)
  buffer.writeUInt32BE(bytes, 1)
  buffer.write(text, 5)
  return buffer
}

function encodeName(name: string): Buffer {
  const bytes = Buffer.byteLength(name)
  assert(bytes <= SHORT_STRING_BYTES_MAX)
  const buffer = Buffer.alloc(2 + bytes)
  buffer.writeUInt16BE(bytes)
  buffer.write(name, 2)
  return buffer
}
