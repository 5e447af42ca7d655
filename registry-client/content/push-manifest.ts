import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Connections } from '../transfer/connections.ts'
import type { NewManifest } from '../transfer/manifests.ts'
import { writeManifest } from '../transfer/manifests.ts'
import { changeReferrers, describeReferrer } from './referrers.ts'

/** Writes a manifest, and puts it on the list of its subject where the registry does not do that. @see distribution-spec "Pushing Manifests with Subject" */
export async function pushManifest(connections: Connections, manifest: NewManifest, task: Task): Promise<Descriptor> {
  const { descriptor, isSubjectKnown } = await writeManifest(connections, manifest, task)
  const referral = isSubjectKnown ? undefined : describeReferrer(descriptor, manifest.bytes)
  if (referral !== undefined) {
    const subject = { ...manifest.reference, tag: undefined, digest: referral.subject.digest }
    await changeReferrers(connections, { subject, referrer: referral.referrer, kind: 'add' }, task)
  }
  return descriptor
}
