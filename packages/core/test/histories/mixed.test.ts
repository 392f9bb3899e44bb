import { prove } from './prove.ts'

prove('mixed')
