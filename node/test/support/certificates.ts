/** Certificates for servers of tests. */
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'

/** A certificate that signs itself, and its key, both PEM. */
export interface TestCertificate {
  readonly cert: string
  readonly key: string
}

/** Makes one for the names and addresses given, valid for an hour on either side of now. */
export async function testCertificate(
  names: readonly { readonly type: 'dns' | 'ip'; readonly value: string }[],
): Promise<TestCertificate> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const hourMs = 3_600_000
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    keys,
    signingAlgorithm: algorithm,
    name: 'CN=Kairo test',
    notBefore: new Date(Date.now() - hourMs),
    notAfter: new Date(Date.now() + hourMs),
    extensions: [
      new x509.SubjectAlternativeNameExtension(names.map(({ type, value }) => ({ type, value }))),
      new x509.BasicConstraintsExtension(true, undefined, true),
    ],
  })
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
  const lines = key.toString('base64').replace(/.{64}/g, '$&\n')
  return {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  }
}
