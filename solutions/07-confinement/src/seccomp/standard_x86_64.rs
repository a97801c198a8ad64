//! The standard filter of x86_64: `default.json`, compiled. Generated, and kept up to date, by
//! `tests/seccomp_standard.rs`.

use sys::Instruction;

const fn i(code: u16, jump_true: u8, jump_false: u8, k: u32) -> Instruction {
    Instruction { code, jump_true, jump_false, k }
}

/// The filter.
#[rustfmt::skip]
pub const PROGRAM: &[Instruction] = &[
    i(0x20, 0, 0, 0x4), // 0: load the architecture
    i(0x15, 0, 114, 0xc000003e), // 1: 0xc000003e? go to 2, else 116
    i(0x20, 0, 0, 0x0), // 2: load the number
    i(0x35, 75, 0, 0x118), // 3: 280 or more? go to 79, else 4
    i(0x35, 57, 0, 0xba), // 4: 186 or more? go to 62, else 5
    i(0x35, 48, 0, 0x88), // 5: 136 or more? go to 54, else 6
    i(0x35, 23, 0, 0x39), // 6: 57 or more? go to 30, else 7
    i(0x35, 21, 0, 0x2a), // 7: 42 or more? go to 29, else 8
    i(0x35, 0, 125, 0x29), // 8: 41 or more? go to 9, else 134
    i(0x20, 0, 0, 0x14), // 9: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 10: 0x0? go to 11, else 13
    i(0x20, 0, 0, 0x10), // 11: load the lower half of argument 0
    i(0x15, 121, 0, 0x1), // 12: 0x1? go to 134, else 13
    i(0x20, 0, 0, 0x14), // 13: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 14: 0x0? go to 15, else 17
    i(0x20, 0, 0, 0x10), // 15: load the lower half of argument 0
    i(0x15, 117, 0, 0x2), // 16: 0x2? go to 134, else 17
    i(0x20, 0, 0, 0x14), // 17: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 18: 0x0? go to 19, else 21
    i(0x20, 0, 0, 0x10), // 19: load the lower half of argument 0
    i(0x15, 113, 0, 0xa), // 20: 0xa? go to 134, else 21
    i(0x20, 0, 0, 0x14), // 21: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 22: 0x0? go to 23, else 25
    i(0x20, 0, 0, 0x10), // 23: load the lower half of argument 0
    i(0x15, 109, 0, 0x10), // 24: 0x10? go to 134, else 25
    i(0x20, 0, 0, 0x14), // 25: load the upper half of argument 0
    i(0x15, 0, 109, 0x0), // 26: 0x0? go to 27, else 136
    i(0x20, 0, 0, 0x10), // 27: load the lower half of argument 0
    i(0x15, 105, 107, 0x11), // 28: 0x11? go to 134, else 136
    i(0x35, 140, 104, 0x38), // 29: 56 or more? go to 170, else 134
    i(0x35, 1, 0, 0x68), // 30: 104 or more? go to 32, else 31
    i(0x35, 104, 102, 0x67), // 31: 103 or more? go to 136, else 134
    i(0x35, 0, 101, 0x86), // 32: 134 or more? go to 33, else 134
    i(0x35, 0, 102, 0x87), // 33: 135 or more? go to 34, else 136
    i(0x20, 0, 0, 0x14), // 34: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 35: 0x0? go to 36, else 38
    i(0x20, 0, 0, 0x10), // 36: load the lower half of argument 0
    i(0x15, 96, 0, 0x0), // 37: 0x0? go to 134, else 38
    i(0x20, 0, 0, 0x14), // 38: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 39: 0x0? go to 40, else 42
    i(0x20, 0, 0, 0x10), // 40: load the lower half of argument 0
    i(0x15, 92, 0, 0x8), // 41: 0x8? go to 134, else 42
    i(0x20, 0, 0, 0x14), // 42: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 43: 0x0? go to 44, else 46
    i(0x20, 0, 0, 0x10), // 44: load the lower half of argument 0
    i(0x15, 88, 0, 0x20000), // 45: 0x20000? go to 134, else 46
    i(0x20, 0, 0, 0x14), // 46: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 47: 0x0? go to 48, else 50
    i(0x20, 0, 0, 0x10), // 48: load the lower half of argument 0
    i(0x15, 84, 0, 0x20008), // 49: 0x20008? go to 134, else 50
    i(0x20, 0, 0, 0x14), // 50: load the upper half of argument 0
    i(0x15, 0, 84, 0x0), // 51: 0x0? go to 52, else 136
    i(0x20, 0, 0, 0x10), // 52: load the lower half of argument 0
    i(0x15, 80, 82, 0xffffffff), // 53: 0xffffffff? go to 134, else 136
    i(0x35, 3, 0, 0x99), // 54: 153 or more? go to 58, else 55
    i(0x35, 1, 0, 0x8b), // 55: 139 or more? go to 57, else 56
    i(0x35, 77, 79, 0x89), // 56: 137 or more? go to 134, else 136
    i(0x35, 76, 78, 0x8c), // 57: 140 or more? go to 134, else 136
    i(0x35, 1, 0, 0x9b), // 58: 155 or more? go to 60, else 59
    i(0x35, 74, 76, 0x9a), // 59: 154 or more? go to 134, else 136
    i(0x35, 0, 75, 0x9d), // 60: 157 or more? go to 61, else 136
    i(0x35, 74, 72, 0xa3), // 61: 163 or more? go to 136, else 134
    i(0x35, 8, 0, 0xf6), // 62: 246 or more? go to 71, else 63
    i(0x35, 3, 0, 0xd8), // 63: 216 or more? go to 67, else 64
    i(0x35, 1, 0, 0xd5), // 64: 213 or more? go to 66, else 65
    i(0x35, 70, 68, 0xd4), // 65: 212 or more? go to 136, else 134
    i(0x35, 69, 67, 0xd6), // 66: 214 or more? go to 136, else 134
    i(0x35, 1, 0, 0xe4), // 67: 228 or more? go to 69, else 68
    i(0x35, 67, 65, 0xe3), // 68: 227 or more? go to 136, else 134
    i(0x35, 0, 64, 0xec), // 69: 236 or more? go to 70, else 134
    i(0x35, 63, 65, 0xf0), // 70: 240 or more? go to 134, else 136
    i(0x35, 3, 0, 0x100), // 71: 256 or more? go to 75, else 72
    i(0x35, 1, 0, 0xf8), // 72: 248 or more? go to 74, else 73
    i(0x35, 60, 62, 0xf7), // 73: 247 or more? go to 134, else 136
    i(0x35, 59, 61, 0xfb), // 74: 251 or more? go to 134, else 136
    i(0x35, 1, 0, 0x110), // 75: 272 or more? go to 77, else 76
    i(0x35, 57, 59, 0x101), // 76: 257 or more? go to 134, else 136
    i(0x35, 0, 58, 0x111), // 77: 273 or more? go to 78, else 136
    i(0x35, 57, 55, 0x117), // 78: 279 or more? go to 136, else 134
    i(0x35, 17, 0, 0x1b2), // 79: 434 or more? go to 97, else 80
    i(0x35, 8, 0, 0x138), // 80: 312 or more? go to 89, else 81
    i(0x35, 3, 0, 0x12d), // 81: 301 or more? go to 85, else 82
    i(0x35, 1, 0, 0x12b), // 82: 299 or more? go to 84, else 83
    i(0x35, 52, 50, 0x12a), // 83: 298 or more? go to 136, else 134
    i(0x35, 51, 49, 0x12c), // 84: 300 or more? go to 136, else 134
    i(0x35, 1, 0, 0x131), // 85: 305 or more? go to 87, else 86
    i(0x35, 49, 47, 0x130), // 86: 304 or more? go to 136, else 134
    i(0x35, 0, 46, 0x134), // 87: 308 or more? go to 88, else 134
    i(0x35, 45, 47, 0x135), // 88: 309 or more? go to 134, else 136
    i(0x35, 3, 0, 0x143), // 89: 323 or more? go to 93, else 90
    i(0x35, 1, 0, 0x140), // 90: 320 or more? go to 92, else 91
    i(0x35, 42, 44, 0x13a), // 91: 314 or more? go to 134, else 136
    i(0x35, 41, 43, 0x142), // 92: 322 or more? go to 134, else 136
    i(0x35, 1, 0, 0x151), // 93: 337 or more? go to 95, else 94
    i(0x35, 39, 41, 0x144), // 94: 324 or more? go to 134, else 136
    i(0x35, 0, 40, 0x1a8), // 95: 424 or more? go to 96, else 136
    i(0x35, 39, 37, 0x1a9), // 96: 425 or more? go to 136, else 134
    i(0x35, 8, 0, 0x1c2), // 97: 450 or more? go to 106, else 98
    i(0x35, 3, 0, 0x1b7), // 98: 439 or more? go to 102, else 99
    i(0x35, 1, 0, 0x1b4), // 99: 436 or more? go to 101, else 100
    i(0x35, 11, 33, 0x1b3), // 100: 435 or more? go to 112, else 134
    i(0x35, 34, 32, 0x1b6), // 101: 438 or more? go to 136, else 134
    i(0x35, 1, 0, 0x1b9), // 102: 441 or more? go to 104, else 103
    i(0x35, 32, 30, 0x1b8), // 103: 440 or more? go to 136, else 134
    i(0x35, 0, 29, 0x1ba), // 104: 442 or more? go to 105, else 134
    i(0x35, 28, 30, 0x1bc), // 105: 444 or more? go to 134, else 136
    i(0x35, 3, 0, 0x1d3), // 106: 467 or more? go to 110, else 107
    i(0x35, 1, 0, 0x1cb), // 107: 459 or more? go to 109, else 108
    i(0x35, 25, 27, 0x1c3), // 108: 451 or more? go to 134, else 136
    i(0x35, 24, 26, 0x1ce), // 109: 462 or more? go to 134, else 136
    i(0x35, 2, 0, 0x40000000), // 110: 1073741824 or more? go to 113, else 111
    i(0x35, 0, 24, 0x1d4), // 111: 468 or more? go to 112, else 136
    i(0x06, 0, 0, 0x50026), // 112: errno 38
    i(0x35, 0, 22, 0x40000000), // 113: 1073741824 or more? go to 114, else 136
    i(0x35, 21, 0, 0xffffffff), // 114: 4294967295 or more? go to 136, else 115
    i(0x06, 0, 0, 0x0), // 115: kill
    i(0x15, 0, 151, 0x40000003), // 116: 0x40000003? go to 117, else 268
    i(0x20, 0, 0, 0x0), // 117: load the number
    i(0x35, 75, 0, 0xbe), // 118: 190 or more? go to 194, else 119
    i(0x35, 31, 0, 0x50), // 119: 80 or more? go to 151, else 120
    i(0x35, 16, 0, 0x30), // 120: 48 or more? go to 137, else 121
    i(0x35, 6, 0, 0x1c), // 121: 28 or more? go to 128, else 122
    i(0x35, 2, 0, 0x15), // 122: 21 or more? go to 125, else 123
    i(0x35, 0, 10, 0x11), // 123: 17 or more? go to 124, else 134
    i(0x35, 9, 11, 0x13), // 124: 19 or more? go to 134, else 136
    i(0x35, 1, 0, 0x19), // 125: 25 or more? go to 127, else 126
    i(0x35, 7, 9, 0x17), // 126: 23 or more? go to 134, else 136
    i(0x35, 6, 8, 0x1a), // 127: 26 or more? go to 134, else 136
    i(0x35, 3, 0, 0x22), // 128: 34 or more? go to 132, else 129
    i(0x35, 1, 0, 0x1f), // 129: 31 or more? go to 131, else 130
    i(0x35, 3, 5, 0x1d), // 130: 29 or more? go to 134, else 136
    i(0x35, 2, 4, 0x21), // 131: 33 or more? go to 134, else 136
    i(0x35, 2, 0, 0x2c), // 132: 44 or more? go to 135, else 133
    i(0x35, 0, 2, 0x24), // 133: 36 or more? go to 134, else 136
    i(0x06, 0, 0, 0x7fff0000), // 134: allow
    i(0x35, 128, 0, 0x2d), // 135: 45 or more? go to 264, else 136
    i(0x06, 0, 0, 0x50001), // 136: errno 1
    i(0x35, 6, 0, 0x3c), // 137: 60 or more? go to 144, else 138
    i(0x35, 2, 0, 0x36), // 138: 54 or more? go to 141, else 139
    i(0x35, 0, 127, 0x31), // 139: 49 or more? go to 140, else 267
    i(0x35, 126, 123, 0x33), // 140: 51 or more? go to 267, else 264
    i(0x35, 1, 0, 0x39), // 141: 57 or more? go to 143, else 142
    i(0x35, 124, 121, 0x38), // 142: 56 or more? go to 267, else 264
    i(0x35, 123, 120, 0x3a), // 143: 58 or more? go to 267, else 264
    i(0x35, 3, 0, 0x46), // 144: 70 or more? go to 148, else 145
    i(0x35, 1, 0, 0x3f), // 145: 63 or more? go to 147, else 146
    i(0x35, 120, 117, 0x3e), // 146: 62 or more? go to 267, else 264
    i(0x35, 119, 116, 0x43), // 147: 67 or more? go to 267, else 264
    i(0x35, 1, 0, 0x4b), // 148: 75 or more? go to 150, else 149
    i(0x35, 117, 114, 0x48), // 149: 72 or more? go to 267, else 264
    i(0x35, 116, 113, 0x4f), // 150: 79 or more? go to 267, else 264
    i(0x35, 14, 0, 0x78), // 151: 120 or more? go to 166, else 152
    i(0x35, 6, 0, 0x65), // 152: 101 or more? go to 159, else 153
    i(0x35, 2, 0, 0x56), // 153: 86 or more? go to 156, else 154
    i(0x35, 0, 109, 0x54), // 154: 84 or more? go to 155, else 264
    i(0x35, 108, 111, 0x55), // 155: 85 or more? go to 264, else 267
    i(0x35, 1, 0, 0x62), // 156: 98 or more? go to 158, else 157
    i(0x35, 106, 109, 0x5a), // 157: 90 or more? go to 264, else 267
    i(0x35, 105, 108, 0x63), // 158: 99 or more? go to 264, else 267
    i(0x35, 3, 0, 0x6d), // 159: 109 or more? go to 163, else 160
    i(0x35, 1, 0, 0x67), // 160: 103 or more? go to 162, else 161
    i(0x35, 102, 105, 0x66), // 161: 102 or more? go to 264, else 267
    i(0x35, 101, 104, 0x68), // 162: 104 or more? go to 264, else 267
    i(0x35, 1, 0, 0x73), // 163: 115 or more? go to 165, else 164
    i(0x35, 99, 102, 0x72), // 164: 114 or more? go to 264, else 267
    i(0x35, 98, 101, 0x74), // 165: 116 or more? go to 264, else 267
    i(0x35, 20, 0, 0x8a), // 166: 138 or more? go to 187, else 167
    i(0x35, 6, 0, 0x84), // 167: 132 or more? go to 174, else 168
    i(0x35, 4, 0, 0x7a), // 168: 122 or more? go to 173, else 169
    i(0x35, 97, 0, 0x79), // 169: 121 or more? go to 267, else 170
    i(0x20, 0, 0, 0x10), // 170: load the lower half of argument 0
    i(0x54, 0, 0, 0x7e020000), // 171: keep the bits 0x7e020000
    i(0x15, 91, 94, 0x0), // 172: 0x0? go to 264, else 267
    i(0x35, 93, 90, 0x7f), // 173: 127 or more? go to 267, else 264
    i(0x35, 1, 0, 0x88), // 174: 136 or more? go to 176, else 175
    i(0x35, 91, 88, 0x86), // 175: 134 or more? go to 267, else 264
    i(0x35, 90, 0, 0x89), // 176: 137 or more? go to 267, else 177
    i(0x20, 0, 0, 0x10), // 177: load the lower half of argument 0
    i(0x15, 85, 0, 0x0), // 178: 0x0? go to 264, else 179
    i(0x20, 0, 0, 0x10), // 179: load the lower half of argument 0
    i(0x15, 83, 0, 0x8), // 180: 0x8? go to 264, else 181
    i(0x20, 0, 0, 0x10), // 181: load the lower half of argument 0
    i(0x15, 81, 0, 0x20000), // 182: 0x20000? go to 264, else 183
    i(0x20, 0, 0, 0x10), // 183: load the lower half of argument 0
    i(0x15, 79, 0, 0x20008), // 184: 0x20008? go to 264, else 185
    i(0x20, 0, 0, 0x10), // 185: load the lower half of argument 0
    i(0x15, 77, 80, 0xffffffff), // 186: 0xffffffff? go to 264, else 267
    i(0x35, 3, 0, 0xa8), // 187: 168 or more? go to 191, else 188
    i(0x35, 1, 0, 0x96), // 188: 150 or more? go to 190, else 189
    i(0x35, 77, 74, 0x95), // 189: 149 or more? go to 267, else 264
    i(0x35, 76, 73, 0xa6), // 190: 166 or more? go to 267, else 264
    i(0x35, 1, 0, 0xaa), // 191: 170 or more? go to 193, else 192
    i(0x35, 74, 71, 0xa9), // 192: 169 or more? go to 267, else 264
    i(0x35, 73, 70, 0xbc), // 193: 188 or more? go to 267, else 264
    i(0x35, 30, 0, 0x15d), // 194: 349 or more? go to 225, else 195
    i(0x35, 14, 0, 0x11d), // 195: 285 or more? go to 210, else 196
    i(0x35, 6, 0, 0xfd), // 196: 253 or more? go to 203, else 197
    i(0x35, 2, 0, 0xde), // 197: 222 or more? go to 200, else 198
    i(0x35, 0, 65, 0xd9), // 198: 217 or more? go to 199, else 264
    i(0x35, 64, 67, 0xda), // 199: 218 or more? go to 264, else 267
    i(0x35, 1, 0, 0xfb), // 200: 251 or more? go to 202, else 201
    i(0x35, 62, 65, 0xe0), // 201: 224 or more? go to 264, else 267
    i(0x35, 61, 64, 0xfc), // 202: 252 or more? go to 264, else 267
    i(0x35, 3, 0, 0x111), // 203: 273 or more? go to 207, else 204
    i(0x35, 1, 0, 0x108), // 204: 264 or more? go to 206, else 205
    i(0x35, 58, 61, 0xfe), // 205: 254 or more? go to 264, else 267
    i(0x35, 57, 60, 0x109), // 206: 265 or more? go to 264, else 267
    i(0x35, 1, 0, 0x11b), // 207: 283 or more? go to 209, else 208
    i(0x35, 55, 58, 0x115), // 208: 277 or more? go to 264, else 267
    i(0x35, 54, 57, 0x11c), // 209: 284 or more? go to 264, else 267
    i(0x35, 7, 0, 0x150), // 210: 336 or more? go to 218, else 211
    i(0x35, 3, 0, 0x136), // 211: 310 or more? go to 215, else 212
    i(0x35, 1, 0, 0x126), // 212: 294 or more? go to 214, else 213
    i(0x35, 50, 53, 0x121), // 213: 289 or more? go to 264, else 267
    i(0x35, 49, 52, 0x127), // 214: 295 or more? go to 264, else 267
    i(0x35, 1, 0, 0x13d), // 215: 317 or more? go to 217, else 216
    i(0x35, 47, 50, 0x137), // 216: 311 or more? go to 264, else 267
    i(0x35, 46, 49, 0x13e), // 217: 318 or more? go to 264, else 267
    i(0x35, 3, 0, 0x156), // 218: 342 or more? go to 222, else 219
    i(0x35, 1, 0, 0x152), // 219: 338 or more? go to 221, else 220
    i(0x35, 43, 46, 0x151), // 220: 337 or more? go to 264, else 267
    i(0x35, 42, 45, 0x153), // 221: 339 or more? go to 264, else 267
    i(0x35, 1, 0, 0x15a), // 222: 346 or more? go to 224, else 223
    i(0x35, 40, 43, 0x157), // 223: 343 or more? go to 264, else 267
    i(0x35, 39, 42, 0x15b), // 224: 347 or more? go to 264, else 267
    i(0x35, 24, 0, 0x1b2), // 225: 434 or more? go to 250, else 226
    i(0x35, 16, 0, 0x177), // 226: 375 or more? go to 243, else 227
    i(0x35, 2, 0, 0x166), // 227: 358 or more? go to 230, else 228
    i(0x35, 0, 38, 0x15f), // 228: 351 or more? go to 229, else 267
    i(0x35, 37, 34, 0x165), // 229: 357 or more? go to 267, else 264
    i(0x35, 11, 0, 0x168), // 230: 360 or more? go to 242, else 231
    i(0x35, 0, 32, 0x167), // 231: 359 or more? go to 232, else 264
    i(0x20, 0, 0, 0x10), // 232: load the lower half of argument 0
    i(0x15, 30, 0, 0x1), // 233: 0x1? go to 264, else 234
    i(0x20, 0, 0, 0x10), // 234: load the lower half of argument 0
    i(0x15, 28, 0, 0x2), // 235: 0x2? go to 264, else 236
    i(0x20, 0, 0, 0x10), // 236: load the lower half of argument 0
    i(0x15, 26, 0, 0xa), // 237: 0xa? go to 264, else 238
    i(0x20, 0, 0, 0x10), // 238: load the lower half of argument 0
    i(0x15, 24, 0, 0x10), // 239: 0x10? go to 264, else 240
    i(0x20, 0, 0, 0x10), // 240: load the lower half of argument 0
    i(0x15, 22, 25, 0x11), // 241: 0x11? go to 264, else 267
    i(0x35, 24, 21, 0x176), // 242: 374 or more? go to 267, else 264
    i(0x35, 3, 0, 0x195), // 243: 405 or more? go to 247, else 244
    i(0x35, 1, 0, 0x189), // 244: 393 or more? go to 246, else 245
    i(0x35, 21, 18, 0x183), // 245: 387 or more? go to 267, else 264
    i(0x35, 20, 17, 0x194), // 246: 404 or more? go to 267, else 264
    i(0x35, 1, 0, 0x1a0), // 247: 416 or more? go to 249, else 248
    i(0x35, 18, 15, 0x19f), // 248: 415 or more? go to 267, else 264
    i(0x35, 17, 14, 0x1a9), // 249: 425 or more? go to 267, else 264
    i(0x35, 7, 0, 0x1bc), // 250: 444 or more? go to 258, else 251
    i(0x35, 3, 0, 0x1b7), // 251: 439 or more? go to 255, else 252
    i(0x35, 1, 0, 0x1b4), // 252: 436 or more? go to 254, else 253
    i(0x35, 12, 10, 0x1b3), // 253: 435 or more? go to 266, else 264
    i(0x35, 12, 9, 0x1b6), // 254: 438 or more? go to 267, else 264
    i(0x35, 1, 0, 0x1b9), // 255: 441 or more? go to 257, else 256
    i(0x35, 10, 7, 0x1b8), // 256: 440 or more? go to 267, else 264
    i(0x35, 9, 6, 0x1ba), // 257: 442 or more? go to 267, else 264
    i(0x35, 3, 0, 0x1ce), // 258: 462 or more? go to 262, else 259
    i(0x35, 1, 0, 0x1c3), // 259: 451 or more? go to 261, else 260
    i(0x35, 6, 3, 0x1c2), // 260: 450 or more? go to 267, else 264
    i(0x35, 5, 2, 0x1cb), // 261: 459 or more? go to 267, else 264
    i(0x35, 2, 0, 0x1d4), // 262: 468 or more? go to 265, else 263
    i(0x35, 3, 0, 0x1d3), // 263: 467 or more? go to 267, else 264
    i(0x06, 0, 0, 0x7fff0000), // 264: allow
    i(0x35, 1, 0, 0xffffffff), // 265: 4294967295 or more? go to 267, else 266
    i(0x06, 0, 0, 0x50026), // 266: errno 38
    i(0x06, 0, 0, 0x50001), // 267: errno 1
    i(0x06, 0, 0, 0x0), // 268: kill
];
