/**
 * Reads what Node does not tell of a certificate: its extensions (X.690 DER; RFC 5280 4.1). It reads what OpenSSL has parsed
 * before, and refuses whatever it does not expect.
 */
import { KairoError } from '../../errors.ts'

interface DerElement {
  readonly tag: number
  /** The contents. */
  readonly value: Uint8Array
}

/** One extension of a certificate. */
export interface CertificateExtension {
  /** Dotted. */
  readonly oid: string
  readonly isCritical: boolean
  readonly value: Uint8Array
}

const BOOLEAN = 0x01
const OCTET_STRING = 0x04
const OID = 0x06
const SEQUENCE = 0x30
const EXTENSIONS = 0xa3
/** Elements of one sequence that are read; a certificate's longest has ten. */
const ELEMENTS_MAX = 64

/**
 * The extensions of a certificate.
 * @throws KairoError `ERR_VERIFICATION` for what is no certificate.
 */
export function readExtensions(der: Uint8Array): readonly CertificateExtension[] {
  const [certificate, ...behind] = readElements(der)
  if (certificate?.tag !== SEQUENCE || behind.length > 0) throw malformed()
  const [body] = readElements(certificate.value)
  if (body?.tag !== SEQUENCE) throw malformed()
  const wrapped = readElements(body.value).find(({ tag }) => tag === EXTENSIONS)
  if (wrapped === undefined) return []
  const [list, ...more] = readElements(wrapped.value)
  if (list?.tag !== SEQUENCE || more.length > 0) throw malformed()
  return readElements(list.value).map(readExtension)
}

/**
 * The contents of a sequence of two octet strings.
 * @throws KairoError `ERR_VERIFICATION` when it is something else.
 */
export function readTwoOctetStrings(bytes: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const [sequence, ...behind] = readElements(bytes)
  if (sequence?.tag !== SEQUENCE || behind.length > 0) throw malformed()
  const [first, second, ...more] = readElements(sequence.value)
  const isPair = first?.tag === OCTET_STRING && second?.tag === OCTET_STRING && more.length === 0
  if (!isPair) throw malformed()
  return [first.value, second.value]
}

/** The elements of a sequence's contents. */
function readElements(bytes: Uint8Array): DerElement[] {
  const elements: DerElement[] = []
  for (let rest = bytes; rest.byteLength > 0; ) {
    if (elements.length === ELEMENTS_MAX) throw malformed()
    const { element, end } = readElement(rest)
    elements.push(element)
    rest = rest.subarray(end)
  }
  return elements
}

function readExtension({ tag, value }: DerElement): CertificateExtension {
  if (tag !== SEQUENCE) throw malformed()
  const [name, ...rest] = readElements(value)
  const flag = rest.length === 2 ? rest[0] : undefined
  const content = rest.at(-1)
  const isWell = name?.tag === OID && content?.tag === OCTET_STRING && rest.length <= 2
  if (!isWell || (flag !== undefined && flag.tag !== BOOLEAN)) throw malformed()
  const isCritical = flag?.value[0] !== undefined && flag.value[0] !== 0
  return { oid: readOid(name.value), isCritical, value: content.value }
}

function readElement(bytes: Uint8Array): { element: DerElement; end: number } {
  const [tag, first] = bytes
  // Tags of more than one byte (X.690 8.1.2.4) do not occur here.
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw malformed()
  let length = first
  let start = 2
  if (first >= 0x80) {
    const count = first - 0x80
    // The indefinite form is not DER; what is longer than 64 KiB is no certificate of ours.
    if (count === 0 || count > 2 || start + count > bytes.byteLength) throw malformed()
    length = 0
    for (let index = 0; index < count; index += 1)
      length = length * 256 + (bytes[start + index] ?? 0)
    start += count
    if (length < (count === 1 ? 0x80 : 0x100)) throw malformed()
  }
  const end = start + length
  if (end > bytes.byteLength) throw malformed()
  return { element: { tag, value: bytes.subarray(start, end) }, end }
}

/** X.690 8.19. */
function readOid(bytes: Uint8Array): string {
  const numbers: number[] = []
  let number = 0
  let isOpen = false
  for (const byte of bytes) {
    number = number * 128 + (byte & 0x7f)
    if (number > 0xffff_ffff) throw malformed()
    isOpen = byte >= 0x80
    if (isOpen) continue
    numbers.push(number)
    number = 0
  }
  const [head, ...rest] = numbers
  if (head === undefined || isOpen) throw malformed()
  const root = Math.min(Math.floor(head / 40), 2)
  return [root, head - root * 40, ...rest].join('.')
}

function malformed(): KairoError {
  return new KairoError('ERR_VERIFICATION', 'a certificate is malformed')
}
