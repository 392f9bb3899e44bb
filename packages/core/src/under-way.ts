/** What has begun and has not ended yet, for whoever must wait for it. */
export class UnderWay {
  private readonly begun = new Set<Promise<unknown>>()

  /** Returns the promise that it was given, even a second time. */
  add<P extends Promise<unknown>>(promise: P): P {
    if (this.begun.has(promise)) return promise
    this.begun.add(promise)
    const ended = () => this.begun.delete(promise)
    promise.then(ended, ended)
    return promise
  }

  get isIdle(): boolean {
    return this.begun.size === 0
  }

  /** Resolves when all that is under way at the call has ended, well or not. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.begun)
  }
}

/** Waits for all, even if one fails, and then throws the first failure. */
export async function all(promises: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(promises)).find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
}
