import type { Config } from '../../base/config.ts';
import { fileTokenStore } from './token-file.ts';
import type { TokenStore } from './token-store.ts';
import type { Web } from './transport.ts';

/** The store of the configuration: the secret where one is named, otherwise the file. */
export async function openTokenStore(config: Config, web: Web): Promise<TokenStore> {
  const { tokenSecret, tokenFile } = config.spotify;
  if (tokenSecret === undefined) return fileTokenStore(tokenFile, web);
  // Only here, because the SDK takes a while to load.
  const { secretTokenStore } = await import('./token-secret.ts');
  return secretTokenStore(tokenSecret, web);
}
