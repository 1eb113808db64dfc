/** What to do about a refusal, by its Code. */
import type { ApiError } from '../api/client';
import { t, type Key } from '../i18n';
import { en } from '../i18n/en';

export function advice(error: ApiError): string {
  // The most special text that there is: `QuotaExceeded.Group`, then `QuotaExceeded`.
  const [head] = error.code.split('.');
  for (const key of [`error.${error.code}`, `error.${head}`]) {
    if (key in en) return t(key as Key);
  }
  return error.status >= 500 ? t('error.InternalError') : t('error.other');
}
