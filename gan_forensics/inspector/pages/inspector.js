"use strict";
// The one script of the page and of reports. Reports have no server: for them only the first part.
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

  // ---- Opacity: a slider names the layer that it fades by the id in `data-layer`. ----
  const fade = (slider) => {
    const layer = document.getElementById(slider.dataset.layer);
    if (layer) layer.style.opacity = slider.value / slider.max;
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches("input[type=range][data-layer]")) fade(event.target);
  });
  const prepare = (within) => $$("input[type=range][data-layer]", within).forEach(fade);
  prepare(document);

  // ---- Text to copy: a button names the element whose text it copies in `data-copy`. ----
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });

  if (!("served" in document.body.dataset)) return;

  // ---- Notices ----
  const notices = $("[data-notices]");
  // Those of an attempt (`of`) go with the next one.
  const forget = (of) => $$(`[data-of="${of}"]`, notices).forEach((item) => item.remove());
  const notice = (text, of = "") => {
    const item = document.createElement("li");
    const close = document.createElement("button");
    item.textContent = text;
    item.dataset.of = of;
    close.textContent = "×";
    close.type = "button";
    close.dataset.close = "";
    close.setAttribute("aria-label", "Close this notice");
    item.append(close);
    notices.append(item);
    while (notices.children.length > 20) notices.firstChild.remove();
  };
  const ask = (address, options) => fetch(address, { credentials: "same-origin", ...options });
  const reason = async (answer) => {
    try {
      return (await answer.json()).error;
    } catch {
      return `${answer.status} ${answer.statusText}`;
    }
  };

  // ---- Images in: dropped, chosen or pasted, sent one after the other ----
  let awaited = false; // whether the next image that comes is to be shown opened
  const queue = [];
  const sent = [];
  let sending = 0; // or 1
  const most = Number(document.body.dataset.most);
  const name = (file) => encodeURIComponent((file.path || file.name).slice(0, 1000).toWellFormed());
  const send = async () => {
    if (sending) return;
    for (let next; (next = queue.shift()); ) {
      const { file, pasted } = next;
      sending = 1;
      const headers = { "X-Name": name(file), "X-Pasted": pasted ? "1" : "0" };
      try {
        if (file.size > most) throw Error(`larger than the ${most} bytes that a file may have here`);
        const answer = await ask("images", { method: "POST", body: file, headers });
        if (!answer.ok) throw Error(await reason(answer));
        sent.push((await answer.json()).number);
      } catch (error) {
        notice(`${file.name}: not received (${error.message})`);
      }
      sending = 0;
      tell();
    }
  };
  const give = (files, pasted = false) => {
    awaited = true;
    for (const file of files) queue.push({ file, pasted });
    tell();
    send();
  };
  const below = async (entry, path = entry.name) => {
    if (entry.isFile) {
      const file = await new Promise((found, failed) => entry.file(found, failed));
      file.path = path;
      return [file];
    }
    const reader = entry.createReader();
    const found = [];
    for (let some; (some = await new Promise((f, e) => reader.readEntries(f, e))).length; )
      for (const one of some)
        if (!one.name.startsWith(".")) found.push(...(await below(one, `${path}/${one.name}`)));
    return found;
  };
  const zone = $("[data-drop]");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    const files = [...event.dataTransfer.files];
    if (!entries.some((entry) => entry?.isDirectory)) return give(files);
    for (const entry of entries) if (entry) give(await below(entry));
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) give([...event.clipboardData.files], true);
  });
  $("[data-files]").addEventListener("change", (event) => {
    give([...event.target.files]);
    event.target.value = "";
  });
  $("[data-place]").addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = $("input", event.target);
    forget("path");
    awaited = true;
    const answer = await ask("paths", { method: "POST", body: field.value });
    if (!answer.ok) return notice(await reason(answer), "path");
    field.value = "";
  });

  // ---- What is found, as it comes ----
  const images = $("[data-images]");
  let state = { version: 0, images: [], newest: 0, first: 0, done: 0, coming: 0, notices: [] };
  // Screen readers are told now and then, and at the end.
  let told = { at: 0, busy: false };
  const announce = (status, busy) => {
    if (busy ? Date.now() - told.at < 5000 : !told.busy) return;
    told = { at: Date.now(), busy };
    $("[data-announced]").textContent = status;
  };
  const tell = () => {
    const unseen = sent.filter((number) => number > state.newest).length;
    const waiting = queue.length + sending + unseen + state.coming;
    const all = state.images.length + waiting;
    const busy = waiting > 0 || state.done < state.images.length;
    $("[data-progress]").hidden = !busy;
    $("progress").value = all ? (state.first + state.done) / (2 * all) : 0;
    const first = state.first < all ? `first look at ${state.first} of ${all}; ` : "";
    const status = `${first}${state.done} of ${all} complete`;
    $("[data-status]").textContent = status;
    document.title = busy ? `${state.done} of ${all} – Inspector` : "Inspector";
    announce(status, busy);
    $("[data-session]").hidden = !state.images.length;
    $("[data-count]").textContent = `${state.images.length} image${state.images.length > 1 ? "s" : ""}`;
    document.body.classList.toggle("some", state.images.length > 0);
    return busy;
  };
  const put = (image) => {
    const there = document.getElementById(`image-${image.number}`);
    if (image.all) {
      const made = document.createRange().createContextualFragment(image.all);
      if (there) there.replaceWith(made);
      else images.append(made);
      const node = document.getElementById(`image-${image.number}`);
      prepare(node);
      if (awaited && !there) {
        awaited = false;
        node.open = true;
        if (node.previousElementSibling) node.scrollIntoView();
      }
    }
    for (const [slot, html] of Object.entries(image.slots ?? {})) {
      const place = $(`[data-slot="${slot}"]`, there);
      if (place.innerHTML === html || (slot === "look" && $("[data-region]", place))) continue;
      place.innerHTML = html;
      prepare(place);
    }
  };
  const listen = async () => {
    for (let lost = false; ; ) {
      try {
        const answer = await ask(`state?since=${state.version}`);
        if (answer.status === 403) return notice("This page is closed: start the inspector anew.");
        if (!answer.ok) throw Error(await reason(answer));
        state = await answer.json();
        lost = false;
      } catch (error) {
        if (!lost) notice(`The inspector does not answer (${error.message}): was it ended?`);
        lost = true;
        await new Promise((again) => setTimeout(again, 2000));
        continue;
      }
      state.images.forEach(put);
      const kept = new Set(state.images.map((image) => `image-${image.number}`));
      for (const node of [...images.children]) {
        if (kept.has(node.id)) continue;
        const next = node.nextElementSibling ?? node.previousElementSibling ?? zone;
        if (node.contains(document.activeElement)) ($("summary", next) ?? $("input", zone)).focus();
        node.remove();
      }
      state.notices.forEach(notice);
      await new Promise((again) => setTimeout(again, tell() ? 200 : 600));
    }
  };
  listen();

  // ---- Buttons ----
  document.addEventListener("click", async (event) => {
    const { dataset } = event.target.closest("button") ?? { dataset: {} };
    if ("remove" in dataset) await ask(`images/${dataset.remove}`, { method: "DELETE" });
    if ("close" in dataset) event.target.closest("li").remove();
    if ("clear" in dataset && !("sure" in dataset)) {
      const { target } = event;
      const { textContent } = target;
      target.dataset.sure = "";
      target.textContent = "Really remove all?";
      target.addEventListener("blur", () => {
        delete target.dataset.sure;
        target.textContent = textContent;
      }, { once: true });
      target.focus();
    } else if ("clear" in dataset) {
      event.target.blur();
      queue.length = 0;
      notices.replaceChildren();
      await ask("images", { method: "DELETE" });
    }
  });
  document.addEventListener("change", (event) => {
    if (!("private" in event.target.dataset)) return;
    for (const link of $$("a[data-report]", event.target.closest("[data-tools]")))
      link.search = event.target.checked ? "?private=1" : "";
  });

  // ---- Region: by dragging over the picture, by the arrow keys, or by its four numbers ----
  const parts = (number) => {
    const plate = $(`[data-plate="${number}"]`);
    const region = $(`[data-region="${number}"]`);
    return { plate, region, frame: $(".frame", plate), fields: $("form", region).elements };
  };
  const clamp = (value, low, high) => Math.round(Math.min(Math.max(value, low), high));
  const box = (fields) =>
    ["left", "top", "width", "height"].map((field) => Number(fields[field].value));
  const frame = (number, [left, top, width, height]) => {
    const { plate, frame, fields } = parts(number);
    const [across, down] = [Number(plate.dataset.width), Number(plate.dataset.height)];
    width = clamp(width, 1, across);
    height = clamp(height, 1, down);
    left = clamp(left, 0, across - width);
    top = clamp(top, 0, down - height);
    Object.entries({ left, top, width, height }).forEach(([field, value]) => {
      fields[field].value = value;
      frame.style[field] = `${(100 * value) / (field === "left" || field === "width" ? across : down)}%`;
    });
    frame.hidden = false;
  };
  document.addEventListener("toggle", ({ target }) => {
    if (!target.dataset?.region) return;
    const { frame: shown, fields } = parts(target.dataset.region);
    if (target.open) frame(target.dataset.region, box(fields));
    else shown.hidden = true;
  }, true);
  let drag = null;
  const at = (event, plate) => {
    const { left, top, width, height } = plate.getBoundingClientRect();
    return [
      ((event.clientX - left) / width) * plate.dataset.width,
      ((event.clientY - top) / height) * plate.dataset.height,
    ];
  };
  document.addEventListener("pointerdown", (event) => {
    const plate = event.target.closest("[data-plate]");
    if (!plate || event.button || event.pointerType === "touch") return;
    event.preventDefault();
    drag = { plate, from: at(event, plate) };
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const { plate: number, width, height } = drag.plate.dataset;
    const inside = ([x, y]) => [clamp(x, 0, width), clamp(y, 0, height)];
    const [x, y] = inside(at(event, drag.plate));
    const [left, top] = inside(drag.from);
    if (Math.abs(x - left) + Math.abs(y - top) < 4) return;
    parts(number).region.open = true;
    frame(number, [Math.min(x, left), Math.min(y, top), Math.abs(x - left), Math.abs(y - top)]);
  });
  document.addEventListener("pointerup", () => {
    if (drag && !parts(drag.plate.dataset.plate).frame.hidden) parts(drag.plate.dataset.plate).frame.focus();
    drag = null;
  });
  document.addEventListener("keydown", (event) => {
    if (!event.target.matches(".frame") || !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    const { plate: number } = event.target.closest("[data-plate]").dataset;
    const [left, top, width, height] = box(parts(number).fields);
    const [x, y] = { Left: [-16, 0], Right: [16, 0], Up: [0, -16], Down: [0, 16] }[event.key.slice(5)];
    frame(number, event.shiftKey ? [left, top, width + x, height + y] : [left + x, top + y, width, height]);
  });
  document.addEventListener("change", (event) => {
    const region = event.target.closest("[data-region]");
    if (region && event.target.value) frame(region.dataset.region, box(parts(region.dataset.region).fields));
  });
  document.addEventListener("submit", (event) => {
    const region = event.target.closest("[data-region]");
    if (!region) return;
    event.preventDefault();
    score(region.dataset.region);
  });
  document.addEventListener("click", (event) => {
    if (event.target.matches(".frame") && !event.detail) score(event.target.closest("[data-plate]").dataset.plate);
  });
  const score = async (number) => {
    const { region, fields } = parts(number);
    const result = $("[data-result]", region);
    const [left, top, width, height] = box(fields);
    result.textContent = "Scoring …";
    const body = JSON.stringify({ left, top, width, height });
    const answer = await ask(`images/${number}/region`, { method: "POST", body });
    if (answer.ok) result.innerHTML = (await answer.json()).html;
    else result.textContent = await reason(answer);
  };
})();
