import { prove } from './prove.ts'

prove('reset')
