import { prove } from './prove.ts'

prove('deaths')
