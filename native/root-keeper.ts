/** Has the mount of a root serve one container after the other, as long as none changes anything in it. */
export interface RootKeeper {
  /**
   * Called before a container is made: a path by which a mount can be cloned that was kept under this key. One that was kept
   * under another, or for a container without a key, is gone afterwards, and the layers can be mounted anew.
   */
  find(key: string | undefined): string | undefined
  /** Called when the container has come to its end. The descriptor is the keeper's. */
  keep(key: string, mountFd: number): void
}
