/** Titles that people give: any text, made harmless to look at. */
import { vodLimits } from '../limits/vod.ts'

/** Control characters, and those that reorder text around them, become spaces; `fallback` where nothing is left. */
export function cleanTitle(title: string, fallback: string): string {
  const clean = title
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
  const short = [...clean].slice(0, vodLimits.titleLengthMax).join('').trim()
  return short === '' ? fallback : short
}
