/** Points of the earth and the distance between them. Pure. */

/** Degrees. */
export interface GeoPoint {
  readonly latitude: number
  readonly longitude: number
}

/** Mean radius. */
const EARTH_KILOMETRES = 6_371

/** The great circle between two points (haversine formula). */
export function kilometresBetween(a: GeoPoint, b: GeoPoint): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180
  const latitudes = Math.sin(radians(b.latitude - a.latitude) / 2) ** 2
  const longitudes = Math.sin(radians(b.longitude - a.longitude) / 2) ** 2
  const cosines = Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude))
  const chord = Math.min(1, latitudes + cosines * longitudes)
  return 2 * EARTH_KILOMETRES * Math.asin(Math.sqrt(chord))
}
