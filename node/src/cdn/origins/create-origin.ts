/** The origin that a host rule names. */
import type { OriginConfig } from '../host-rule.ts'
import type { Origin } from '../origin.ts'
import { FolderOrigin } from './folder-origin.ts'
import { HttpOrigin, type OriginComponents } from './http-origin.ts'
import { S3Origin } from './s3-origin.ts'

/** Makes an origin; nothing is connected or opened before the first request. Whoever made it closes it. */
export function createOrigin(config: OriginConfig, components: OriginComponents): Origin {
  switch (config.type) {
    case 'http':
      return new HttpOrigin(components, config)
    case 'folder':
      return new FolderOrigin(components, config)
    case 's3':
      return new S3Origin(components, config)
  }
}
