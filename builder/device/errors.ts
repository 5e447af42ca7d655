import { TsbuildError } from '../../core/errors.ts'

/** A device of RUN --device is not there, or our containers cannot have it. */
export class DeviceUnsuitable extends TsbuildError {
  readonly code = 'BUILDER_DEVICE_UNSUITABLE'
  readonly device: string

  constructor(device: string, problem: string, options?: ErrorOptions) {
    super(`cannot use device "${device}": ${problem}`, options)
    this.device = device
  }
}
