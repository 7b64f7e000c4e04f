// What the browser does for the page by itself: see page.py for where each is called.
(() => {
  const KEY = "jsd";
  const recall = () => {
    try { return JSON.parse(sessionStorage.getItem(KEY)) ?? {}; } catch { return {}; }
  };
  const keep = (values) => {
    try { sessionStorage.setItem(KEY, JSON.stringify({ ...recall(), ...values })); } catch { /* not allowed here */ }
  };

  // Gradio's own words, where its frontend is as it was when this was written; else they stay the browser's.
  const speakGradio = async (language) => {
    const module = performance.getEntriesByType("resource").find((one) => /\/assets\/core-[\w-]+\.js$/.test(one.name));
    if (module) (await import(module.name)).changeLocale?.(language);
  };

  const hand = (file, input) => {
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const read = (file) => hand(file, document.querySelector("#dropped input[type=file]"));

  window.jsd = {
    recall: () => JSON.stringify({ ...recall(), narrow: matchMedia("(max-width: 800px)").matches }),
    keep,
    keepForm: (names, values) => keep({ form: Object.fromEntries(names.map((name, at) => [name, values[at]])) }),
    speak: (language) => {
      // The glyphs of Chinese and Japanese differ: the page says which it is in.
      document.documentElement.lang = language;
      keep({ language });
      speakGradio(language);
    },
    // Of the tiles and words in `element`, those with `text` in them; whatever is folded opens to show them.
    search: (element, text) => {
      const wanted = text.trim().normalize("NFKC").toLowerCase();
      for (const fold of element.querySelectorAll("details")) {
        let found = 0;
        for (const one of fold.querySelectorAll("button")) {
          one.hidden = !one.textContent.normalize("NFKC").toLowerCase().includes(wanted);
          found += one.hidden ? 0 : 1;
        }
        fold.hidden = found === 0;
        if (wanted !== "") fold.open = found > 0;
      }
    },
    download: (path) => {
      const link = document.createElement("a");
      link.href = `gradio_api/file=${path.split("/").map(encodeURIComponent).join("/")}`;
      link.download = path.split("/").at(-1);
      link.click();
    },
    // The image editor in sight, and its brush taken up where a part is to be painted over.
    edit: (paint) => {
      const find = (tries) => {
        const brush = document.querySelector("#drawing [aria-label*=rush], #drawing [title*=rush]");
        if (!brush && tries > 0) return setTimeout(() => find(tries - 1), 200);
        document.querySelector("#start")?.scrollIntoView({ block: "start" });
        if (paint) brush?.click();
      };
      find(50);
    },
  };

  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest?.("#ask, #tune")) {
      document.querySelector("#draw").click();
    }
  });

  // Of what is chosen to be painted on, no more than the model draws of: a browser is slow with the rest.
  addEventListener("change", async (event) => {
    const input = event.target;
    const file = input.files?.[0];
    if (!event.isTrusted || !file || !input.closest("#drawing")) return;
    event.stopImmediatePropagation();
    const bitmap = await createImageBitmap(file).catch(() => null);
    if (bitmap) hand(await fitted(file, bitmap), input);
    else read(file); // the server says what is wrong with it
  }, true);
  const fitted = async (file, bitmap) => {
    const scale = Number(document.querySelector(".model")?.dataset.side) / Math.max(bitmap.width, bitmap.height);
    if (!(scale < 1)) return file;
    const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return new File([await canvas.convertToBlob({ type: file.type, quality: 0.95 })], file.name, { type: file.type });
  };

  // The system's own way to choose a picture.
  addEventListener("click", (event) => {
    const input = event.target.closest?.("#dropped")?.querySelector("input[type=file]");
    if (input) input.accept = "image/png, image/jpeg, image/webp";
  }, true);

  // A picture let go anywhere but on a part that takes pictures itself is read for its settings.
  const isTaken = (event) => event.target.closest?.("#drawing");
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event) || isTaken(event)) return;
    event.preventDefault();
    document.body.classList.add("dragged");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragged");
  });
  addEventListener("drop", (event) => {
    document.body.classList.remove("dragged");
    if (!hasFiles(event) || isTaken(event)) return;
    event.preventDefault();
    read(event.dataTransfer.files[0]);
  });
})();
