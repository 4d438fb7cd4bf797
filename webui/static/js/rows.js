// Lists that are drawn anew under the eyes and hands of a reader.

/**
 * Makes the children of a list what `fresh` says, which tells them apart by their data-id. A child
 * that is there already stays where it is: in it may be a button that has the focus or is just
 * being pressed. `renew(old, fresh)` updates the rest of it.
 */
export function update(list, fresh, renew) {
  const there = new Map([...list.children].map((child) => [child.dataset.id, child]));
  const wanted = fresh.map((child) => {
    const old = there.get(child.dataset.id);
    if (!old) return child;
    renew(old, child);
    return old;
  });
  for (const child of there.values()) {
    if (!wanted.includes(child)) child.remove();
  }
  for (const [index, child] of wanted.entries()) {
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  }
}

/** Renews all parts of an element but its last one, where the button is. */
export function renewAllButLast(old, fresh) {
  const parts = [...fresh.children].slice(0, -1);
  for (const [index, part] of parts.entries()) old.children[index].replaceWith(part);
}
