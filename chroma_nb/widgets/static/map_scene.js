// Draws the points by WebGL2: one draw call for all, one for those that stand out, one for a picture of what is not held.

const VERTEX = `#version 300 es
precision highp float;
in vec3 a_from;
in vec3 a_to;
in float a_code;
in float a_diameter;
in float a_look;
uniform mat4 u_view;
uniform float u_share;
uniform float u_scale;
uniform float u_flat;
uniform float u_focus;
uniform float u_raised;
uniform vec4 u_paper;
uniform float u_opacity;
uniform float u_dimmed;
uniform sampler2D u_palette;
out vec4 v_color;
out float v_diameter;
out float v_hollow;
void main() {
  vec4 seen = u_view * vec4(mix(a_from, a_to, u_share), 1.0);
  float near = 1.0 / seen.w;
  gl_Position = vec4(seen.xy, seen.z * 0.2 * seen.w, seen.w);
  bool dim = mod(a_look, 2.0) > 0.5 || (u_focus >= 0.0 && abs(a_code - u_focus) > 0.5);
  v_hollow = mod(floor(a_look / 2.0), 2.0);
  v_diameter = max(a_diameter * u_scale * near + (u_raised > 0.5 && !dim ? 1.5 : 0.0), 1.0);
  gl_PointSize = v_diameter + 1.0;
  vec3 color = texelFetch(u_palette, ivec2(int(a_code + 0.5), 0), 0).rgb;
  // Farther points fade into the page.
  float far = u_flat > 0.5 ? 0.0 : clamp(0.12 - seen.z * 0.35, 0.0, 0.55);
  color = mix(color, u_paper.rgb, dim ? max(far, 0.35) : far);
  v_color = vec4(color, dim ? u_dimmed : u_raised > 0.5 ? 1.0 : u_opacity);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_color;
in float v_diameter;
in float v_hollow;
uniform vec4 u_paper;
uniform float u_ratio;
uniform float u_solid;
out vec4 color;
void main() {
  float away = length(gl_PointCoord - 0.5) * (v_diameter + 1.0);
  float radius = v_diameter * 0.5;
  float inside = clamp(radius - away + 0.5, 0.0, 1.0);
  if (inside <= 0.0 || (u_solid > 0.5 && inside < 0.5)) discard;
  float rim = clamp(away - (radius - max(u_ratio * 0.75, v_diameter * 0.07)) + 0.5, 0.0, 1.0);
  vec3 mixed = v_color.rgb;
  float alpha = v_color.a;
  if (v_hollow > 0.5) {
    float line = clamp(away - (radius - max(u_ratio * 1.4, v_diameter * 0.2)) + 0.5, 0.0, 1.0);
    mixed = mix(u_paper.rgb, mixed, line);
  } else if (v_diameter > 5.0 * u_ratio) {
    mixed = mix(mixed, u_paper.rgb, rim * 0.85);
  }
  float covered = alpha * inside;
  color = vec4(mixed * covered, covered);
}`;

const PICTURE_VERTEX = `#version 300 es
precision highp float;
in vec2 a_corner;
uniform mat4 u_view;
uniform vec4 u_box;
uniform float u_screen;
out vec2 v_at;
void main() {
  v_at = vec2(a_corner.x, 1.0 - a_corner.y);
  vec2 place = mix(u_box.xy, u_box.zw, a_corner);
  gl_Position = u_screen > 0.5 ? vec4(a_corner * 2.0 - 1.0, 0.0, 1.0) : u_view * vec4(place, 0.0, 1.0);
}`;

const PICTURE_FRAGMENT = `#version 300 es
precision highp float;
in vec2 v_at;
uniform sampler2D u_picture;
uniform float u_opacity;
out vec4 color;
void main() {
  color = texture(u_picture, v_at) * u_opacity;
}`;

const ATTRIBUTES_OF_POINTS = ["a_from", "a_to", "a_code", "a_diameter", "a_look"];

function program(gl, vertex, fragment, attributes) {
  const made = gl.createProgram();
  for (const [kind, text] of [
    [gl.VERTEX_SHADER, vertex],
    [gl.FRAGMENT_SHADER, fragment],
  ]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  attributes.forEach((name, at) => gl.bindAttribLocation(made, at, name));
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(made) || "shaders");
  const uniforms = {};
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(made, i);
    uniforms[name] = gl.getUniformLocation(made, name);
  }
  return { made, uniforms };
}

/** The points on a canvas of its own; throws where there is no WebGL2. */
export class Scene {
  kind = "webgl2";
  #gl;
  #points;
  #picture = null;
  #made;

  constructor(canvas, points, restored) {
    this.#gl = canvas.getContext("webgl2", { alpha: true, antialias: false, premultipliedAlpha: true });
    if (!this.#gl) throw new Error("no WebGL2");
    this.#points = points;
    this.lost = (event) => event.preventDefault();
    this.restored = () => {
      this.#build();
      restored();
    };
    canvas.addEventListener("webglcontextlost", this.lost);
    canvas.addEventListener("webglcontextrestored", this.restored);
    this.canvas = canvas;
    this.#build();
  }

  #build() {
    const gl = this.#gl;
    this.#made = {
      points: program(gl, VERTEX, FRAGMENT, ATTRIBUTES_OF_POINTS),
      picture: program(gl, PICTURE_VERTEX, PICTURE_FRAGMENT, ["a_corner"]),
      buffers: Object.fromEntries(["from", "to", "codes", "diameters", "looks", "raised", "corners"].map((name) => [name, gl.createBuffer()])),
      array: gl.createVertexArray(),
      corners: gl.createVertexArray(),
      palette: gl.createTexture(),
      image: gl.createTexture(),
    };
    const { buffers } = this.#made;
    gl.bindVertexArray(this.#made.array);
    const attributes = [
      ["from", 3, gl.FLOAT],
      ["to", 3, gl.FLOAT],
      ["codes", 1, gl.UNSIGNED_SHORT],
      ["diameters", 1, gl.FLOAT],
      ["looks", 1, gl.UNSIGNED_BYTE],
    ];
    attributes.forEach(([name, size, type], at) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
      gl.vertexAttribPointer(at, size, type, false, 0, 0);
      gl.enableVertexAttribArray(at);
    });
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers.raised);
    gl.bindVertexArray(this.#made.corners);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffers.corners);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    gl.enableVertexAttribArray(0);
    gl.bindVertexArray(null);
    this.changed("from", "to", "codes", "diameters", "looks", "palette");
    if (this.#picture) this.show(this.#picture);
  }

  /** Take what has changed of the points to the graphics card. */
  changed(...names) {
    const gl = this.#gl;
    const points = this.#points;
    gl.bindVertexArray(null);
    for (const name of names) {
      if (name === "palette") {
        const rgba = new Uint8Array((points.palette.length / 3) * 4);
        for (let i = 0; i < points.palette.length / 3; i++) rgba.set([...points.palette.subarray(3 * i, 3 * i + 3), 255], 4 * i);
        gl.bindTexture(gl.TEXTURE_2D, this.#made.palette);
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, rgba.length / 4, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
        for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
      } else if (name !== "diameters" || points.diameters) {
        gl.bindBuffer(gl.ARRAY_BUFFER, this.#made.buffers[name]);
        gl.bufferData(gl.ARRAY_BUFFER, points[name], gl.DYNAMIC_DRAW);
      }
      if (name === "looks") {
        gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.#made.buffers.raised);
        gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, points.raised, gl.DYNAMIC_DRAW);
      }
    }
  }

  /** Lay a picture under the points: `image`, and the box of map coordinates it shows (null: this view of a 3-D map). */
  show(picture) {
    this.#picture = picture;
    if (!picture) return;
    const gl = this.#gl;
    gl.bindTexture(gl.TEXTURE_2D, this.#made.image);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, true);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, picture.image);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.LINEAR);
    for (const axis of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, axis, gl.CLAMP_TO_EDGE);
  }

  /** Draw: `matrix` (rows), `share` of the animation, `scale` and `diameter` in device pixels, opacities, `focus` (a colour's code or -1). */
  draw(how) {
    const gl = this.#gl;
    if (gl.isContextLost()) return;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.disable(gl.DEPTH_TEST);
    if (this.#picture && how.picture > 0) this.#drawPicture(how);
    if (this.#points.held === 0) return;
    const { made, uniforms } = this.#made.points;
    gl.useProgram(made);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.#made.palette);
    // GL takes columns, and may not transpose them itself everywhere.
    const { matrix: m } = how;
    gl.uniformMatrix4fv(
      uniforms.u_view,
      false,
      [0, 1, 2, 3].flatMap((column) => [m[column], m[4 + column], m[8 + column], m[12 + column]]),
    );
    const numbers = { u_share: how.share, u_scale: how.scale, u_flat: how.flat ? 1 : 0, u_focus: how.focus, u_raised: 0, u_ratio: how.ratio };
    Object.assign(numbers, { u_opacity: how.opacity, u_dimmed: how.dimmed, u_solid: how.flat ? 0 : 1 });
    for (const [name, value] of Object.entries(numbers)) gl.uniform1f(uniforms[name], value);
    gl.uniform4f(uniforms.u_paper, ...how.paper, 1);
    gl.bindVertexArray(this.#made.array);
    if (this.#points.diameters) gl.enableVertexAttribArray(3);
    else {
      gl.disableVertexAttribArray(3);
      gl.vertexAttrib1f(3, how.diameter);
    }
    if (!how.flat) gl.enable(gl.DEPTH_TEST);
    if (how.points) gl.drawArrays(gl.POINTS, 0, this.#points.held);
    if (this.#points.raised.length) {
      gl.uniform1f(uniforms.u_raised, 1);
      gl.disable(gl.DEPTH_TEST);
      gl.drawElements(gl.POINTS, this.#points.raised.length, gl.UNSIGNED_INT, 0);
    }
    gl.bindVertexArray(null);
  }

  #drawPicture(how) {
    const gl = this.#gl;
    const { made, uniforms } = this.#made.picture;
    const { matrix: m } = how;
    gl.useProgram(made);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.#made.image);
    gl.uniformMatrix4fv(
      uniforms.u_view,
      false,
      [0, 1, 2, 3].flatMap((column) => [m[column], m[4 + column], m[8 + column], m[12 + column]]),
    );
    gl.uniform4f(uniforms.u_box, ...(this.#picture.box ?? [0, 0, 1, 1]));
    gl.uniform1f(uniforms.u_screen, this.#picture.box ? 0 : 1);
    gl.uniform1f(uniforms.u_opacity, how.picture);
    gl.bindVertexArray(this.#made.corners);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    gl.bindVertexArray(null);
  }

  /** Give the context back: a page has few of them. */
  close() {
    this.canvas.removeEventListener("webglcontextlost", this.lost);
    this.canvas.removeEventListener("webglcontextrestored", this.restored);
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}
