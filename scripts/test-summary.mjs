// Prints `tests: N passed, N failed[, N skipped]` from the last report; exits 1 unless all is well.
import { readFileSync } from 'node:fs'
import { REPORT } from './test-report.mjs'

const { passed, failed, skipped } = counts()
console.log(`tests: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exit(passed > 0 && failed === 0 ? 0 : 1)

function counts() {
  let report
  try {
    report = JSON.parse(readFileSync(REPORT, 'utf8'))
  } catch {
    return { passed: 0, failed: 0, skipped: 0 } // vitest did not get as far as a report
  }
  // A file that could not be loaded has no tests of its own to fail; it counts as one.
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  )
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}
