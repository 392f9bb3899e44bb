import { ManualClock } from '../src/testing.ts'

/** A manual clock of turns of the event loop, within which the checks of a burst may share a reading. */
export class TurningClock extends ManualClock {
  private held = 0
  private atEnd: (() => void)[] = []

  override wall(): number {
    return super.wall() + this.held
  }

  override monotonic(): number {
    return super.monotonic() + this.held
  }

  afterTurn(callback: () => void): void {
    this.atEnd.push(callback)
  }

  /** Time passes, and the turn goes on. */
  hold(ms: number): void {
    this.held += ms
  }

  endTurn(): void {
    for (const callback of this.atEnd.splice(0)) callback()
  }

  /** The turn is over; moves on. */
  override async advance(ms: number): Promise<void> {
    this.endTurn()
    const { held } = this
    this.held = 0
    await super.advance(held + ms)
  }

  /** Moves on until it is done. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isDone = false
    const done = () => {
      isDone = true
    }
    promise.then(done, done)
    while (!isDone) await this.advance(5)
    return promise
  }
}
