/** The previews of messages without text. */
import { t } from './texts.ts'

/** Returns the text for a preview that only names the kind of a file, or undefined for any other preview. */
export function filePreview(preview: string): string | undefined {
  return { '[Image]': t('photoPreview'), '[File Attachment]': t('filePreview') }[preview]
}
