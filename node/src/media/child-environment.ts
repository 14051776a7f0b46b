/**
 * The environment of children that read what strangers send. Settings may come by the environment, and some are secrets; code that
 * takes files of unknown origin apart, in a language without memory safety, gets none of them.
 */

/** What a program needs to find itself, its temporary files and its clock's zone, on every system. */
const NAMES = new Set([
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR', 'TMP', 'TEMP'],
  ...['DISPLAY', 'WAYLAND_DISPLAY', 'XDG_RUNTIME_DIR', 'XDG_CACHE_HOME', 'GLIBC_TUNABLES'],
  // Which build of FFmpeg its binding loads.
  'AV_FROM_SOURCE',
  ...['SYSTEMROOT', 'WINDIR', 'USERPROFILE', 'APPDATA', 'LOCALAPPDATA', 'PROGRAMDATA'],
])
/** Node's own, the loader's, and what drivers of graphics cards and encoders are set up with. */
const PREFIXES = [
  ...['NODE_', 'LC_', 'LD_', 'DYLD_', 'MALLOC_', 'OMP_', 'SVT_'],
  ...['LIBVA_', 'VDPAU_', 'NVIDIA_', 'CUDA_', 'MESA_', 'DRI_', 'GALLIUM_', 'VK_', 'RADV_', 'AMD_'],
  ...['ONEVPL_', 'LIBVPL_', 'MFX_', 'OCL_'],
]

/** The part of `environment` that such a child may have. */
export function childEnvironment(
  environment: Readonly<NodeJS.ProcessEnv> = process.env,
): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => {
      const upper = name.toUpperCase()
      return NAMES.has(upper) || PREFIXES.some((prefix) => upper.startsWith(prefix))
    }),
  )
}
