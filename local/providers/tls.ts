/** The stand-in for the TLS provider: keys, requests and certificates that any TLS or SSH program takes. */
import { pluginVersion } from './plugin-version';
import { runProvider } from './provider';
import type { Provider } from './resource';
import { certRequest, locallySignedCert, selfSignedCert } from './tls/certificates';
import { privateKey } from './tls/private-key';

export const tls: Provider<null> = {
  name: 'tls',
  config: {},
  connect: () => null,
  resources: {
    'tls:index/certRequest:CertRequest': certRequest,
    'tls:index/locallySignedCert:LocallySignedCert': locallySignedCert,
    'tls:index/privateKey:PrivateKey': privateKey,
    'tls:index/selfSignedCert:SelfSignedCert': selfSignedCert,
  },
  functions: {},
};

if (require.main === module) void runProvider(tls, pluginVersion('tls'));
