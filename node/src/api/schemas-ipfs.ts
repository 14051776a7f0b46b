/** The shapes of the API about IPFS. */
import { z } from 'zod'
import { ipfsLimits } from '../limits/ipfs.ts'

/** A CID as text; what it names is checked by the room. */
export const cidSchema = z
  .string()
  .regex(/^[A-Za-z0-9]{1,256}$/)
  .describe('A CID of version 0 or 1.')

/** A kept tree. */
export const pinSchema = z.object({
  cid: z.string(),
  name: z.string(),
  blocks: z.number().int(),
  bytes: z.number().int().describe('Bytes of all blocks, each once.'),
  created: z.iso.datetime(),
})

/** GET /api/ipfs/pins. */
export const pinsSchema = z.object({ pins: z.array(pinSchema), total: z.number() })

/** POST /api/ipfs/pins. */
export const newPinSchema = z.strictObject({
  cid: cidSchema,
  name: z.string().max(255).default(''),
  peer: z
    .string()
    .max(ipfsLimits.pathCharsMax)
    .optional()
    .describe('Multiaddr of an IPFS peer that has the tree; it is connected to before.'),
})

/** POST /api/ipfs/peers. */
export const newIpfsPeerSchema = z.strictObject({
  address: z.string().max(ipfsLimits.pathCharsMax),
})

/** The peer that was connected to. */
export const ipfsPeerSchema = z.object({ peerId: z.string() })
