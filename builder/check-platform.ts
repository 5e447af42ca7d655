import type { Platform } from '../oci/platform.ts'
import { formatPlatform, platformDistance } from '../oci/platform.ts'
import { ImageUnavailable } from './errors.ts'

/** Where an image lies alone nothing is chosen by the platform asked for, and it has to be of that one. @throws {ImageUnavailable} */
export function checkPlatform(image: string, offered: Platform, asked: Platform | undefined): void {
  if (asked !== undefined && platformDistance(asked, offered) === undefined) throw new ImageUnavailable(image, `it is for ${formatPlatform(offered)}, not ${formatPlatform(asked)}`)
}
