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
  const stay = new Set(wanted);
  for (const child of there.values()) {
    if (!stay.has(child)) child.remove();
  }
  for (const [index, child] of wanted.entries()) {
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  }
}

/** Renews all parts of an element but its last one, where the button is. */
export function renewAllButLast(old, fresh) {
  const parts = [...fresh.children].slice(0, -1);
  for (const [index, part] of parts.entries()) renewPart(old.children[index], part);
}

/** Renews what an element's first part says; the others are buttons, or lists of their own. */
export function renewFacts(old, fresh) {
  renewChildren(old.firstElementChild, fresh.firstElementChild);
}

/** Replaces a part that has changed. In one that has not, a reader may just be selecting text. */
function renewPart(old, fresh) {
  if (!old.isEqualNode(fresh)) old.replaceWith(fresh);
}

/** Renews the parts of an element. */
export function renewChildren(old, fresh) {
  renewAll(old, [...fresh.children]);
}

/** Makes the children of an element what `fresh` are. They stay as long as they are the same. */
export function renewAll(element, fresh) {
  for (const [index, child] of fresh.entries()) {
    const old = element.children[index];
    if (old) renewPart(old, child);
    else element.append(child);
  }
  while (element.children.length > fresh.length) element.lastElementChild.remove();
}
