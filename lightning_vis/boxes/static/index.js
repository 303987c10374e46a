// The page of boxes: images of a run, one of them large, and what is saved.
import { Editor } from "./editor.js";
import { Images } from "./images.js";
import { sheetsOf } from "./picture.js";
import { Store } from "./store.js";

const find = (id) => document.getElementById(id);

function tell(state, words) {
  if (find("state").textContent !== words) find("state").textContent = words;  // what is said twice is read out twice
  find("state").dataset.state = state;
  find("retry").hidden = state !== "failed";
}

async function start() {
  const answer = await fetch("images");
  const facts = await answer.json();
  if (!answer.ok) throw new Error(facts.error);
  render(facts, await sheetsOf([...new Set(facts.images.map((each) => each.pool))]));
}

function render({ file, images }, sheets) {
  let current = 0;
  const store = new Store(file, tell);
  const editor = new Editor(sheets, (box) => put(box));
  const list = new Images(find("images"), sheets, images, go);

  function go(at) {
    current = Math.min(images.length - 1, Math.max(0, at));
    list.choose(current);
    editor.show(images[current], current, images.length);
    find("previous").disabled = current === 0;
    find("next").disabled = current === images.length - 1;
  }

  function put(box) {
    images[current].box = box;
    list.show(current);
    go(current);
    store.change(images[current].key, box);
  }

  const actions = {
    p: ["previous", () => go(current - 1)],
    n: ["next", () => go(current + 1)],
    a: ["accept", () => { if (images[current].cut) { put(images[current].cut); go(current + 1); } }],
    c: ["clear", () => images[current].box && put(null)],
  };
  for (const [id, act] of Object.values(actions)) find(id).addEventListener("click", act);
  find("retry").addEventListener("click", () => store.send());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    actions[event.key]?.[1]();
  });
  document.querySelector("main").hidden = false;
  const known = images.filter((each) => each.box).length;
  tell("saved", known ? `${known} boxes are in ${file}` : `nothing drawn yet; every box is saved in ${file} at once`);
  go(0);
}

start().catch((error) => tell("failed", `the images could not be loaded: ${error.message}`));
