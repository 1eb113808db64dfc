/** Dialogs, on the browser's own element: it holds the focus and Escape closes it. */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import type { ApiError } from '../api/client';
import { asError } from '../hooks';
import { t } from '../i18n';
import { Button } from './form';
import { ErrorBox } from './show';

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  wide?: boolean;
}

export function Dialog({ title, onClose, children, wide }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={ref} class={`dialog${wide ? ' wide' : ''}`} aria-labelledby={id} onCancel={(e) => { e.preventDefault(); onClose(); }}>
      <header>
        <h2 id={id}>{title}</h2>
        <Button kind="quiet" icon="close" label={t('ui.close')} onClick={onClose} />
      </header>
      {children}
    </dialog>
  );
}

interface FormDialogProps {
  title: string;
  submit?: string;
  danger?: boolean;
  wide?: boolean;
  onClose: () => void;
  /** Does it; the dialog closes when it is done and shows why where it is not. */
  onSubmit: () => Promise<void>;
  /** What is shown after it stands in the same dialog's place. */
  stay?: boolean;
  children: ComponentChildren;
}

export function FormDialog({ title, submit, danger, wide, onClose, onSubmit, stay, children }: FormDialogProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await onSubmit();
      if (!stay) onClose();
    } catch (e) {
      setError(asError(e));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose} wide={wide}>
      <form onSubmit={(e) => void send(e)}>
        <div class="body">{children}</div>
        {error && <ErrorBox error={error} />}
        <footer>
          <Button onClick={onClose}>{t('ui.cancel')}</Button>
          <Button type="submit" kind={danger ? 'danger' : 'primary'} busy={busy}>{submit ?? t('ui.save')}</Button>
        </footer>
      </form>
    </Dialog>
  );
}
