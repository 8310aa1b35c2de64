// What is on a photograph? The network and what runs it are in the page itself, packed.

const $ = selector => document.querySelector(selector);
const { names, colours, px } = JSON.parse($('#facts').textContent);
const MOST_BARS = 5;
const SHOWN_PX = 1200;  // on its long side, what is kept of a photograph to be shown again
let network;

// ---- The network ----------------------------------------------------------------------------------------------------

async function unpacked(id) {
  const text = atob($(id).textContent);
  $(id).remove();
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).arrayBuffer();
}

async function load() {
  const code = new Blob([await unpacked('#code')], { type: 'text/javascript' });
  const ort = await import(URL.createObjectURL(code));
  ort.env.wasm.wasmBinary = await unpacked('#wasm');
  ort.env.wasm.numThreads = 1;  // more need a server that says so
  const session = await ort.InferenceSession.create(await unpacked('#network'));
  return { session, Tensor: ort.Tensor };
}

async function probabilities(bitmap) {
  const { pixels, height, width } = await read(bitmap);
  const picture = new network.Tensor('uint8', pixels, [height, width, 3]);
  return [...(await network.session.run({ picture })).probabilities.data];
}

// ---- From a picture to numbers --------------------------------------------------------------------------------------

// Upright by its EXIF, its colours as they are in the file.
function decoded(file) {
  return createImageBitmap(file, { imageOrientation: 'from-image', premultiplyAlpha: 'none', colorSpaceConversion: 'none' });
}

// uint8 [height, width, 3]. A large one is made 2, 4 or 8 times smaller, but not below 2 * px, as Pillow's draft does.
async function read(bitmap) {
  const times = [8, 4, 2].find(n => Math.min(bitmap.width, bitmap.height) >= 2 * px * n) ?? 1;
  const height = Math.ceil(bitmap.height / times), width = Math.ceil(bitmap.width / times);
  const pixels = new Uint8Array(3 * height * width);
  const rows = 32;  // at once: browsers on phones refuse large canvases
  const canvas = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: rows * times });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.fillStyle = 'white';  // what is transparent becomes white
  for (let row = 0; row < height; row += rows) {
    const high = Math.min(rows * times, bitmap.height - row * times);
    context.fillRect(0, 0, bitmap.width, high);
    context.drawImage(bitmap, 0, row * times, bitmap.width, high, 0, 0, bitmap.width, high);
    const strip = context.getImageData(0, 0, bitmap.width, high);
    means(strip, times, pixels.subarray(3 * row * width));
  }
  return { pixels, height, width };
}

// The means of squares of times x times pixels, in RGB.
function means({ data, width, height }, times, out) {
  let place = 0;
  for (let top = 0; top < height; top += times) {
    for (let left = 0; left < width; left += times) {
      const bottom = Math.min(top + times, height), right = Math.min(left + times, width);
      let r = 0, g = 0, b = 0;
      for (let y = top; y < bottom; y++) {
        for (let i = 4 * (y * width + left); i < 4 * (y * width + right); i += 4) {
          r += data[i];
          g += data[i + 1];
          b += data[i + 2];
        }
      }
      const n = (bottom - top) * (right - left);
      out[place++] = Math.round(r / n);
      out[place++] = Math.round(g / n);
      out[place++] = Math.round(b / n);
    }
  }
}

// ---- What is shown --------------------------------------------------------------------------------------------------

function percent(p) {
  const n = Math.round(100 * p);
  return n > 99 ? 'over 99 %' : n < 1 ? 'under 1 %' : `${n} %`;
}

function argmax(p) {
  return p.indexOf(Math.max(...p));
}

function append(parent, tag, properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  parent.append(element);
  return element;
}

// How many letters a line has to take: the longest word, and a long name in a few lines.
function lettersInLine(name) {
  return Math.max(5, 2.2 * Math.sqrt(name.length), ...name.split(/[ -]/).map(word => word.length));
}

function showAnswer(p) {
  const best = argmax(p);
  $('.answer').hidden = false;
  $('.verdict').style.setProperty('--colour', colours[best][0]);
  $('.verdict').style.setProperty('--ink', colours[best][1]);
  $('.verdict').style.setProperty('--letters', lettersInLine(names[best]));
  $('.verdict strong').textContent = names[best];
  $('.verdict span').textContent = `${percent(p[best])} sure`;
  showBars(p);
}

// Those of the most likely classes, in the order of the classes, so that they stay where they are.
function showBars(p) {
  const body = document.createElement('tbody');
  const likely = [...p.keys()].sort((i, j) => p[j] - p[i]).slice(0, MOST_BARS).sort((i, j) => i - j);
  for (const i of likely) {
    const row = append(body, 'tr');
    append(row, 'th', { scope: 'row', textContent: names[i] });
    const bar = append(append(append(row, 'td'), 'div', { className: 'track' }), 'div');
    bar.style.width = `${100 * p[i]}%`;
    bar.style.background = colours[i][0];
    append(row, 'td', { textContent: percent(p[i]) });
  }
  $('.bars tbody')?.remove();
  $('.bars').append(body);
}

// An image or the video, with the square that the network sees.
function showPicture(shown, width, height) {
  $('#stage').classList.remove('empty');
  $('.frame').hidden = false;
  $('.frame').style.setProperty('--shape', width / height);
  $('.frame').classList.toggle('tall', height > width);
  for (const element of $('.frame').children) element.hidden = element !== shown;
}

// No picture, and so no answer.
function empty() {
  $('.frame').hidden = $('.answer').hidden = video.hidden = true;
  $('#stage').classList.add('empty');
}

function show({ url, name, width, height, p }) {
  stopCamera();
  Object.assign($('.frame img'), { src: url, alt: name });
  showPicture($('.frame img'), width, height);
  showAnswer(p);
}

function addToTray(photograph) {
  const best = argmax(photograph.p);
  const button = document.createElement('button');
  button.style.setProperty('--colour', colours[best][0]);
  button.title = photograph.name;
  append(button, 'img', { src: photograph.url, alt: photograph.name });
  append(button, 'span', { textContent: names[best] });
  button.onclick = () => show(photograph);
  $('#tray').prepend(button);
}

function say(sentence) {
  append($('#problems'), 'p', { textContent: sentence });
}

// ---- Photographs ----------------------------------------------------------------------------------------------------

// An address of the picture at a size for the screen.
async function addressOf(bitmap) {
  const share = Math.min(1, SHOWN_PX / Math.max(bitmap.width, bitmap.height));
  const size = { width: Math.ceil(share * bitmap.width), height: Math.ceil(share * bitmap.height) };
  const canvas = Object.assign(document.createElement('canvas'), size);
  const context = canvas.getContext('2d');
  context.fillStyle = 'white';
  context.fillRect(0, 0, size.width, size.height);
  context.drawImage(bitmap, 0, 0, size.width, size.height);
  return URL.createObjectURL(await new Promise(resolve => canvas.toBlob(resolve, 'image/jpeg')));
}

async function add(bitmap, name) {
  try {
    const { width, height } = bitmap;
    const photograph = { name, width, height, p: await probabilities(bitmap), url: await addressOf(bitmap) };
    addToTray(photograph);
    if (!stream) show(photograph);  // the camera may be on again
  } catch (error) {
    say(`${name} is too much for this browser (${error}); give a smaller picture.`);
  }
  bitmap.close();
}

async function addFile(file) {
  const bitmap = await decoded(file).catch(() => null);
  if (bitmap) return add(bitmap, file.name);
  say(`${file.name} can't be read as a picture by this browser; give a JPEG or PNG file.`);
}

async function addAll(files) {
  if (!files.length) return;
  stopCamera();
  $('#problems').replaceChildren();
  for (const [i, file] of files.entries()) {
    $('#progress').textContent = `${i + 1} of ${files.length} ...`;
    await inTurn(() => addFile(file));
    await new Promise(resolve => setTimeout(resolve));  // so that one sees it
  }
  $('#progress').textContent = '';
}

// The network takes one picture at a time.
let turn = Promise.resolve();
function inTurn(job) {
  const done = turn.then(job);
  turn = done.catch(() => {});
  return done;
}

// ---- The camera -----------------------------------------------------------------------------------------------------

const REASONS = {
  NotFoundError: 'There is no camera here',
  NotAllowedError: 'The browser does not let this page use the camera',
  NotReadableError: 'Another program uses the camera',
};
const INSTEAD = 'choose photographs, or drop them on the page.';
const video = $('.frame video');
let stream = null;
let isStarting = false;

async function startCamera() {
  if (isStarting) return;
  isStarting = true;
  $('#problems').replaceChildren();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    video.srcObject = stream;
    await video.play();
    $('#camera').textContent = 'Take the picture';
    $('.verdict').setAttribute('aria-live', 'off');  // it would talk all the time
    showPicture(video, video.videoWidth, video.videoHeight);
    watch(stream);
  } catch (error) {
    stopCamera();
    say(`${REASONS[error.name] ?? `The camera can't be used (${error.name})`}; ${INSTEAD}`);
  }
  isStarting = false;
}

function stopCamera() {
  stream?.getTracks().forEach(track => track.stop());
  stream = null;
  video.srcObject = null;
  if (!video.hidden) empty();
  $('#camera').textContent = 'Use the camera';
  $('.verdict').setAttribute('aria-live', 'polite');
}

// Say what the camera sees, as often as the network can.
async function watch(watched) {
  try {
    while (stream === watched && watched.active) {
      await inTurn(() => look(watched));
      await new Promise(requestAnimationFrame);
    }
  } catch {}  // what it shows can't be taken any more
  if (stream !== watched) return;  // somebody stopped it
  stopCamera();
  say(`The camera has stopped; use it again, ${INSTEAD}`);
}

async function look(watched) {
  if (stream !== watched) return;
  const bitmap = await createImageBitmap(video);
  const p = await probabilities(bitmap);
  bitmap.close();
  if (stream === watched) showAnswer(p);
}

async function takePicture() {
  const bitmap = await createImageBitmap(video);
  stopCamera();
  inTurn(() => add(bitmap, 'from the camera'));
}

// ---- What one does --------------------------------------------------------------------------------------------------

$('#choose').onclick = () => $('#files').click();
$('#files').onchange = event => {
  addAll([...event.target.files]);
  event.target.value = '';  // so that the same file can be chosen again
};
$('#camera').onclick = event => event.detail < 2 && (stream ? takePicture() : startCamera());  // once for two clicks
video.onresize = () => stream && showPicture(video, video.videoWidth, video.videoHeight);  // the device was turned
for (const kind of ['dragover', 'dragleave', 'drop']) {
  document.addEventListener(kind, event => {
    event.preventDefault();
    document.body.classList.toggle('over', kind === 'dragover');
  });
}
document.addEventListener('drop', event => network && addAll([...event.dataTransfer.files]));

try {
  network = await load();
  $('#progress').textContent = '';
  for (const button of document.querySelectorAll('header button')) button.disabled = false;
  $('.hint').hidden = false;
} catch (error) {
  $('#progress').textContent = '';
  say(`The network does not run in this browser (${error}); open the page in a new Firefox, Chrome, Edge or Safari.`);
}
