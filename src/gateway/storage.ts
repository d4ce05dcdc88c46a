/** stub */
import type { Config } from '../config/config.ts'
import type { Storage } from '../model/storage.ts'
import { openFileStorage } from '../storage/files.ts'
export async function openStorage(config: Config, _warn: (text: string) => void): Promise<Storage> {
  return await openFileStorage(`${config.state}/storage`)
}
