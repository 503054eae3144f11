/** The file's own name: the folder or the archive that it lies in says nothing of what it holds. */
export function ownName(fileName: string): string {
  return fileName.slice(fileName.lastIndexOf('/') + 1);
}
