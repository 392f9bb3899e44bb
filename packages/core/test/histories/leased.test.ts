import { prove } from './prove.ts'

prove('leased')
