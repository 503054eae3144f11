/** The part of subset-font 2.9 that is used here; @types/subset-font (2.3) does not know `keepFeatures`. */
declare module 'subset-font' {
  export default function subsetFont(
    font: Buffer,
    characters: string,
    options: { targetFormat: 'woff'; keepFeatures: readonly string[] },
  ): Promise<Buffer>;
}
