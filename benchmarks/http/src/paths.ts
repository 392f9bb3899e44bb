import { fileURLToPath } from 'node:url'

export const RESULTS = fileURLToPath(new URL('../results/cost.json', import.meta.url))
export const JAVASCRIPT_RESULTS = fileURLToPath(new URL('../results/javascript.json', import.meta.url))
export const DOCS = fileURLToPath(new URL('../../../docs/http.md', import.meta.url))
