// Elements without markup in strings: whatever a receipt says, it stays text.

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; a child may be text. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Sets the text only if it is another one, so that a selection survives. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Starts an animation that the style sheet gives to this class, again if it runs. */
export function replay(element, name) {
  element.classList.remove(name);
  void element.offsetWidth;
  element.classList.add(name);
}

/**
 * Makes the children of `list` show `items` in their order. What stays keeps its element, and with it focus, selection
 * and what is open. `create(item)` makes an element, `update(element, item)` brings one up to date.
 */
export function show(list, items, keyOf, create, update) {
  list.shown ??= new Map();
  const keys = new Set(items.map(keyOf));
  for (const [key, element] of list.shown) {
    if (!keys.has(key)) {
      element.remove();
      list.shown.delete(key);
    }
  }
  items.forEach((item, index) => {
    const key = keyOf(item);
    const element = list.shown.get(key) ?? create(item);
    list.shown.set(key, element);
    update(element, item);
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
}
