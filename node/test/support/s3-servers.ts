/** Real S3 servers for tests: s3rver in this process, and MinIO where its program is installed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { AwsClient } from 'aws4fetch'
import S3rver from 's3rver'

/** A running server with one bucket. */
export interface S3Server {
  readonly endpoint: string
  readonly bucket: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Writes an object. */
  readonly put: (
    key: string,
    body: string | Uint8Array,
    headers?: Record<string, string>,
  ) => Promise<void>
  /** Lets everybody read the bucket. */
  readonly publish: () => Promise<void>
  readonly stop: () => Promise<void>
}

const bucket = 'kairo-bucket'

/** s3rver: its keys are fixed. */
export async function startS3rver(directory: string): Promise<S3Server> {
  const server = new S3rver({
    ...{ address: '127.0.0.1', port: 0, silent: true, directory },
    configureBuckets: [{ name: bucket }],
  })
  const { port } = await server.run()
  return {
    ...access(`http://127.0.0.1:${port}`, 'S3RVER', 'S3RVER'),
    // It lets everybody read without being asked.
    publish: async () => {},
    stop: () => server.close(),
  }
}

/** MinIO, a process of its own. */
export async function startMinio(program: string, directory: string): Promise<S3Server> {
  const port = await freePort()
  const [accessKeyId, secretAccessKey] = ['kairo-test', 'a secret/of+the=test']
  const child = spawn(program, ['server', '--quiet', '--address', `127.0.0.1:${port}`, directory], {
    stdio: 'ignore',
    env: {
      ...process.env,
      MINIO_ROOT_USER: accessKeyId,
      MINIO_ROOT_PASSWORD: secretAccessKey,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
    },
  })
  const exited = once(child, 'exit')
  const server = access(`http://127.0.0.1:${port}`, accessKeyId, secretAccessKey)
  while (!(await isReady(`${server.endpoint}/minio/health/ready`))) {
    if (child.exitCode !== null) throw new Error('MinIO did not start')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await server.request('PUT', '')
  const statement = {
    Effect: 'Allow',
    Principal: { AWS: ['*'] },
    Action: ['s3:GetObject'],
    Resource: [`arn:aws:s3:::${bucket}/*`],
  }
  return {
    ...server,
    publish: async () => {
      const policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
      await server.request('PUT', '?policy', policy)
    },
    stop: async () => {
      child.kill()
      await exited
    },
  }
}

function access(endpoint: string, accessKeyId: string, secretAccessKey: string) {
  const client = new AwsClient({ accessKeyId, secretAccessKey, service: 's3', retries: 0 })
  const request = async (
    method: string,
    path: string,
    body?: string | Uint8Array,
    headers: Record<string, string> = {},
  ): Promise<void> => {
    const init = { method, headers, ...(body === undefined ? {} : { body: Buffer.from(body) }) }
    const response = await client.fetch(`${endpoint}/${bucket}${path}`, init)
    const words = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${words}`)
  }
  const put: S3Server['put'] = (key, body, headers) => {
    const path = encodeURIComponent(key).replace(/%2F/g, '/')
    return request('PUT', `/${path}`, body, headers)
  }
  return { endpoint, bucket, accessKeyId, secretAccessKey, request, put }
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok
  } catch {
    // It does not listen yet.
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
