/** What has begun and has not ended yet, for whoever must wait for it. */
export class UnderWay {
  private readonly begun = new Set<Promise<unknown>>()

  /** Returns what it was given. */
  add<P extends Promise<unknown>>(promise: P): P {
    this.begun.add(promise)
    const ended = () => this.begun.delete(promise)
    promise.then(ended, ended)
    return promise
  }

  /** Resolves when all that is under way at the call has ended, well or not. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.begun)
  }
}
