//! The standard filter of aarch64: `default.json`, compiled. Generated, and kept up to date, by
//! `tests/seccomp_standard.rs`.

use sys::Instruction;

const fn i(code: u16, jump_true: u8, jump_false: u8, k: u32) -> Instruction {
    Instruction { code, jump_true, jump_false, k }
}

/// The filter.
#[rustfmt::skip]
pub const PROGRAM: &[Instruction] = &[
    i(0x20, 0, 0, 0x4), // 0: load the architecture
    i(0x15, 0, 118, 0xc00000b7), // 1: 0xc00000b7? go to 2, else 120
    i(0x20, 0, 0, 0x0), // 2: load the number
    i(0x35, 78, 0, 0xf2), // 3: 242 or more? go to 82, else 4
    i(0x35, 39, 0, 0x71), // 4: 113 or more? go to 44, else 5
    i(0x35, 8, 0, 0x59), // 5: 89 or more? go to 14, else 6
    i(0x35, 3, 0, 0x2b), // 6: 43 or more? go to 10, else 7
    i(0x35, 1, 0, 0x13), // 7: 19 or more? go to 9, else 8
    i(0x35, 8, 18, 0x12), // 8: 18 or more? go to 17, else 27
    i(0x35, 7, 17, 0x27), // 9: 39 or more? go to 17, else 27
    i(0x35, 1, 0, 0x3b), // 10: 59 or more? go to 12, else 11
    i(0x35, 5, 15, 0x3a), // 11: 58 or more? go to 17, else 27
    i(0x35, 0, 14, 0x3c), // 12: 60 or more? go to 13, else 27
    i(0x35, 13, 3, 0x3d), // 13: 61 or more? go to 27, else 17
    i(0x35, 25, 0, 0x61), // 14: 97 or more? go to 40, else 15
    i(0x35, 2, 0, 0x5c), // 15: 92 or more? go to 18, else 16
    i(0x35, 10, 0, 0x5a), // 16: 90 or more? go to 27, else 17
    i(0x06, 0, 0, 0x50001), // 17: errno 1
    i(0x35, 138, 0, 0x5d), // 18: 93 or more? go to 157, else 19
    i(0x20, 0, 0, 0x14), // 19: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 20: 0x0? go to 21, else 23
    i(0x20, 0, 0, 0x10), // 21: load the lower half of argument 0
    i(0x15, 4, 0, 0x0), // 22: 0x0? go to 27, else 23
    i(0x20, 0, 0, 0x14), // 23: load the upper half of argument 0
    i(0x15, 0, 3, 0x0), // 24: 0x0? go to 25, else 28
    i(0x20, 0, 0, 0x10), // 25: load the lower half of argument 0
    i(0x15, 0, 1, 0x8), // 26: 0x8? go to 27, else 28
    i(0x06, 0, 0, 0x7fff0000), // 27: allow
    i(0x20, 0, 0, 0x14), // 28: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 29: 0x0? go to 30, else 32
    i(0x20, 0, 0, 0x10), // 30: load the lower half of argument 0
    i(0x15, 125, 0, 0x20000), // 31: 0x20000? go to 157, else 32
    i(0x20, 0, 0, 0x14), // 32: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 33: 0x0? go to 34, else 36
    i(0x20, 0, 0, 0x10), // 34: load the lower half of argument 0
    i(0x15, 121, 0, 0x20008), // 35: 0x20008? go to 157, else 36
    i(0x20, 0, 0, 0x14), // 36: load the upper half of argument 0
    i(0x15, 0, 121, 0x0), // 37: 0x0? go to 38, else 159
    i(0x20, 0, 0, 0x10), // 38: load the lower half of argument 0
    i(0x15, 117, 119, 0xffffffff), // 39: 0xffffffff? go to 157, else 159
    i(0x35, 1, 0, 0x68), // 40: 104 or more? go to 42, else 41
    i(0x35, 115, 117, 0x62), // 41: 98 or more? go to 157, else 159
    i(0x35, 0, 116, 0x6b), // 42: 107 or more? go to 43, else 159
    i(0x35, 115, 113, 0x70), // 43: 112 or more? go to 159, else 157
    i(0x35, 8, 0, 0xc6), // 44: 198 or more? go to 53, else 45
    i(0x35, 3, 0, 0x8f), // 45: 143 or more? go to 49, else 46
    i(0x35, 1, 0, 0x75), // 46: 117 or more? go to 48, else 47
    i(0x35, 111, 109, 0x74), // 47: 116 or more? go to 159, else 157
    i(0x35, 110, 108, 0x8e), // 48: 142 or more? go to 159, else 157
    i(0x35, 1, 0, 0xa3), // 49: 163 or more? go to 51, else 50
    i(0x35, 108, 106, 0xa1), // 50: 161 or more? go to 159, else 157
    i(0x35, 0, 105, 0xaa), // 51: 170 or more? go to 52, else 157
    i(0x35, 104, 106, 0xab), // 52: 171 or more? go to 157, else 159
    i(0x35, 24, 0, 0xe0), // 53: 224 or more? go to 78, else 54
    i(0x35, 21, 0, 0xd9), // 54: 217 or more? go to 76, else 55
    i(0x35, 101, 0, 0xc7), // 55: 199 or more? go to 157, else 56
    i(0x20, 0, 0, 0x14), // 56: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 57: 0x0? go to 58, else 60
    i(0x20, 0, 0, 0x10), // 58: load the lower half of argument 0
    i(0x15, 97, 0, 0x1), // 59: 0x1? go to 157, else 60
    i(0x20, 0, 0, 0x14), // 60: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 61: 0x0? go to 62, else 64
    i(0x20, 0, 0, 0x10), // 62: load the lower half of argument 0
    i(0x15, 93, 0, 0x2), // 63: 0x2? go to 157, else 64
    i(0x20, 0, 0, 0x14), // 64: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 65: 0x0? go to 66, else 68
    i(0x20, 0, 0, 0x10), // 66: load the lower half of argument 0
    i(0x15, 89, 0, 0xa), // 67: 0xa? go to 157, else 68
    i(0x20, 0, 0, 0x14), // 68: load the upper half of argument 0
    i(0x15, 0, 2, 0x0), // 69: 0x0? go to 70, else 72
    i(0x20, 0, 0, 0x10), // 70: load the lower half of argument 0
    i(0x15, 85, 0, 0x10), // 71: 0x10? go to 157, else 72
    i(0x20, 0, 0, 0x14), // 72: load the upper half of argument 0
    i(0x15, 0, 85, 0x0), // 73: 0x0? go to 74, else 159
    i(0x20, 0, 0, 0x10), // 74: load the lower half of argument 0
    i(0x15, 81, 83, 0x11), // 75: 0x11? go to 157, else 159
    i(0x35, 0, 82, 0xdc), // 76: 220 or more? go to 77, else 159
    i(0x35, 79, 103, 0xdd), // 77: 221 or more? go to 157, else 181
    i(0x35, 1, 0, 0xeb), // 78: 235 or more? go to 80, else 79
    i(0x35, 77, 79, 0xe2), // 79: 226 or more? go to 157, else 159
    i(0x35, 0, 78, 0xf0), // 80: 240 or more? go to 81, else 159
    i(0x35, 77, 75, 0xf1), // 81: 241 or more? go to 159, else 157
    i(0x35, 18, 0, 0x19f), // 82: 415 or more? go to 101, else 83
    i(0x35, 8, 0, 0x110), // 83: 272 or more? go to 92, else 84
    i(0x35, 3, 0, 0x107), // 84: 263 or more? go to 88, else 85
    i(0x35, 1, 0, 0x104), // 85: 260 or more? go to 87, else 86
    i(0x35, 72, 70, 0xf4), // 86: 244 or more? go to 159, else 157
    i(0x35, 71, 69, 0x106), // 87: 262 or more? go to 159, else 157
    i(0x35, 1, 0, 0x10a), // 88: 266 or more? go to 90, else 89
    i(0x35, 69, 67, 0x109), // 89: 265 or more? go to 159, else 157
    i(0x35, 0, 66, 0x10c), // 90: 268 or more? go to 91, else 157
    i(0x35, 65, 67, 0x10d), // 91: 269 or more? go to 157, else 159
    i(0x35, 4, 0, 0x11b), // 92: 283 or more? go to 97, else 93
    i(0x35, 1, 0, 0x118), // 93: 280 or more? go to 95, else 94
    i(0x35, 62, 64, 0x112), // 94: 274 or more? go to 157, else 159
    i(0x35, 0, 63, 0x119), // 95: 281 or more? go to 96, else 159
    i(0x35, 62, 60, 0x11a), // 96: 282 or more? go to 159, else 157
    i(0x35, 1, 0, 0x193), // 97: 403 or more? go to 99, else 98
    i(0x35, 60, 58, 0x126), // 98: 294 or more? go to 159, else 157
    i(0x35, 0, 57, 0x194), // 99: 404 or more? go to 100, else 157
    i(0x35, 56, 58, 0x195), // 100: 405 or more? go to 157, else 159
    i(0x35, 8, 0, 0x1b9), // 101: 441 or more? go to 110, else 102
    i(0x35, 3, 0, 0x1b3), // 102: 435 or more? go to 106, else 103
    i(0x35, 1, 0, 0x1a9), // 103: 425 or more? go to 105, else 104
    i(0x35, 52, 54, 0x1a0), // 104: 416 or more? go to 157, else 159
    i(0x35, 51, 53, 0x1b2), // 105: 434 or more? go to 157, else 159
    i(0x35, 1, 0, 0x1b6), // 106: 438 or more? go to 108, else 107
    i(0x35, 49, 11, 0x1b4), // 107: 436 or more? go to 157, else 119
    i(0x35, 0, 50, 0x1b7), // 108: 439 or more? go to 109, else 159
    i(0x35, 49, 47, 0x1b8), // 109: 440 or more? go to 159, else 157
    i(0x35, 4, 0, 0x1cb), // 110: 459 or more? go to 115, else 111
    i(0x35, 1, 0, 0x1bc), // 111: 444 or more? go to 113, else 112
    i(0x35, 46, 44, 0x1ba), // 112: 442 or more? go to 159, else 157
    i(0x35, 0, 43, 0x1c2), // 113: 450 or more? go to 114, else 157
    i(0x35, 42, 44, 0x1c3), // 114: 451 or more? go to 157, else 159
    i(0x35, 1, 0, 0x1d3), // 115: 467 or more? go to 117, else 116
    i(0x35, 40, 42, 0x1ce), // 116: 462 or more? go to 157, else 159
    i(0x35, 0, 41, 0x1d4), // 117: 468 or more? go to 118, else 159
    i(0x35, 40, 0, 0xffffffff), // 118: 4294967295 or more? go to 159, else 119
    i(0x06, 0, 0, 0x50026), // 119: errno 38
    i(0x15, 0, 169, 0x40000028), // 120: 0x40000028? go to 121, else 290
    i(0x20, 0, 0, 0x0), // 121: load the number
    i(0x35, 84, 0, 0xbc), // 122: 188 or more? go to 207, else 123
    i(0x35, 36, 0, 0x4f), // 123: 79 or more? go to 160, else 124
    i(0x35, 16, 0, 0x2c), // 124: 44 or more? go to 141, else 125
    i(0x35, 7, 0, 0x17), // 125: 23 or more? go to 133, else 126
    i(0x35, 3, 0, 0xe), // 126: 14 or more? go to 130, else 127
    i(0x35, 1, 0, 0x8), // 127: 8 or more? go to 129, else 128
    i(0x35, 30, 28, 0x7), // 128: 7 or more? go to 159, else 157
    i(0x35, 29, 27, 0xd), // 129: 13 or more? go to 159, else 157
    i(0x35, 1, 0, 0x13), // 130: 19 or more? go to 132, else 131
    i(0x35, 27, 25, 0x11), // 131: 17 or more? go to 159, else 157
    i(0x35, 26, 24, 0x15), // 132: 21 or more? go to 159, else 157
    i(0x35, 3, 0, 0x1d), // 133: 29 or more? go to 137, else 134
    i(0x35, 1, 0, 0x1a), // 134: 26 or more? go to 136, else 135
    i(0x35, 23, 21, 0x19), // 135: 25 or more? go to 159, else 157
    i(0x35, 22, 20, 0x1b), // 136: 27 or more? go to 159, else 157
    i(0x35, 1, 0, 0x21), // 137: 33 or more? go to 139, else 138
    i(0x35, 20, 18, 0x1e), // 138: 30 or more? go to 159, else 157
    i(0x35, 0, 17, 0x22), // 139: 34 or more? go to 140, else 157
    i(0x35, 16, 18, 0x24), // 140: 36 or more? go to 157, else 159
    i(0x35, 8, 0, 0x3c), // 141: 60 or more? go to 150, else 142
    i(0x35, 3, 0, 0x33), // 142: 51 or more? go to 146, else 143
    i(0x35, 1, 0, 0x30), // 143: 48 or more? go to 145, else 144
    i(0x35, 12, 14, 0x2d), // 144: 45 or more? go to 157, else 159
    i(0x35, 11, 13, 0x31), // 145: 49 or more? go to 157, else 159
    i(0x35, 1, 0, 0x38), // 146: 56 or more? go to 148, else 147
    i(0x35, 9, 11, 0x36), // 147: 54 or more? go to 157, else 159
    i(0x35, 0, 10, 0x39), // 148: 57 or more? go to 149, else 159
    i(0x35, 9, 7, 0x3a), // 149: 58 or more? go to 159, else 157
    i(0x35, 3, 0, 0x46), // 150: 70 or more? go to 154, else 151
    i(0x35, 1, 0, 0x3f), // 151: 63 or more? go to 153, else 152
    i(0x35, 6, 4, 0x3e), // 152: 62 or more? go to 159, else 157
    i(0x35, 5, 3, 0x43), // 153: 67 or more? go to 159, else 157
    i(0x35, 1, 0, 0x4b), // 154: 75 or more? go to 156, else 155
    i(0x35, 3, 1, 0x48), // 155: 72 or more? go to 159, else 157
    i(0x35, 1, 0, 0x4c), // 156: 76 or more? go to 158, else 157
    i(0x06, 0, 0, 0x7fff0000), // 157: allow
    i(0x35, 129, 0, 0x4d), // 158: 77 or more? go to 288, else 159
    i(0x06, 0, 0, 0x50001), // 159: errno 1
    i(0x35, 16, 0, 0x76), // 160: 118 or more? go to 177, else 161
    i(0x35, 7, 0, 0x62), // 161: 98 or more? go to 169, else 162
    i(0x35, 3, 0, 0x54), // 162: 84 or more? go to 166, else 163
    i(0x35, 1, 0, 0x52), // 163: 82 or more? go to 165, else 164
    i(0x35, 123, 124, 0x50), // 164: 80 or more? go to 288, else 289
    i(0x35, 122, 123, 0x53), // 165: 83 or more? go to 288, else 289
    i(0x35, 1, 0, 0x56), // 166: 86 or more? go to 168, else 167
    i(0x35, 120, 121, 0x55), // 167: 85 or more? go to 288, else 289
    i(0x35, 119, 120, 0x5b), // 168: 91 or more? go to 288, else 289
    i(0x35, 3, 0, 0x6d), // 169: 109 or more? go to 173, else 170
    i(0x35, 1, 0, 0x65), // 170: 101 or more? go to 172, else 171
    i(0x35, 116, 117, 0x63), // 171: 99 or more? go to 288, else 289
    i(0x35, 115, 116, 0x68), // 172: 104 or more? go to 288, else 289
    i(0x35, 1, 0, 0x73), // 173: 115 or more? go to 175, else 174
    i(0x35, 113, 114, 0x72), // 174: 114 or more? go to 288, else 289
    i(0x35, 0, 113, 0x74), // 175: 116 or more? go to 176, else 289
    i(0x35, 112, 111, 0x75), // 176: 117 or more? go to 289, else 288
    i(0x35, 11, 0, 0x88), // 177: 136 or more? go to 189, else 178
    i(0x35, 6, 0, 0x7b), // 178: 123 or more? go to 185, else 179
    i(0x35, 4, 0, 0x79), // 179: 121 or more? go to 184, else 180
    i(0x35, 0, 107, 0x78), // 180: 120 or more? go to 181, else 288
    i(0x20, 0, 0, 0x10), // 181: load the lower half of argument 0
    i(0x54, 0, 0, 0x7e020000), // 182: keep the bits 0x7e020000
    i(0x15, 104, 105, 0x0), // 183: 0x0? go to 288, else 289
    i(0x35, 103, 104, 0x7a), // 184: 122 or more? go to 288, else 289
    i(0x35, 1, 0, 0x7f), // 185: 127 or more? go to 187, else 186
    i(0x35, 101, 102, 0x7c), // 186: 124 or more? go to 288, else 289
    i(0x35, 0, 101, 0x84), // 187: 132 or more? go to 188, else 289
    i(0x35, 100, 99, 0x86), // 188: 134 or more? go to 289, else 288
    i(0x35, 13, 0, 0x96), // 189: 150 or more? go to 203, else 190
    i(0x35, 11, 0, 0x8a), // 190: 138 or more? go to 202, else 191
    i(0x35, 97, 0, 0x89), // 191: 137 or more? go to 289, else 192
    i(0x20, 0, 0, 0x10), // 192: load the lower half of argument 0
    i(0x15, 94, 0, 0x0), // 193: 0x0? go to 288, else 194
    i(0x20, 0, 0, 0x10), // 194: load the lower half of argument 0
    i(0x15, 92, 0, 0x8), // 195: 0x8? go to 288, else 196
    i(0x20, 0, 0, 0x10), // 196: load the lower half of argument 0
    i(0x15, 90, 0, 0x20000), // 197: 0x20000? go to 288, else 198
    i(0x20, 0, 0, 0x10), // 198: load the lower half of argument 0
    i(0x15, 88, 0, 0x20008), // 199: 0x20008? go to 288, else 200
    i(0x20, 0, 0, 0x10), // 200: load the lower half of argument 0
    i(0x15, 86, 87, 0xffffffff), // 201: 0xffffffff? go to 288, else 289
    i(0x35, 86, 85, 0x95), // 202: 149 or more? go to 289, else 288
    i(0x35, 1, 0, 0xa8), // 203: 168 or more? go to 205, else 204
    i(0x35, 84, 83, 0xa6), // 204: 166 or more? go to 289, else 288
    i(0x35, 0, 82, 0xa9), // 205: 169 or more? go to 206, else 288
    i(0x35, 81, 82, 0xaa), // 206: 170 or more? go to 288, else 289
    i(0x35, 44, 0, 0x178), // 207: 376 or more? go to 252, else 208
    i(0x35, 26, 0, 0x138), // 208: 312 or more? go to 235, else 209
    i(0x35, 7, 0, 0xfe), // 209: 254 or more? go to 217, else 210
    i(0x35, 3, 0, 0xde), // 210: 222 or more? go to 214, else 211
    i(0x35, 1, 0, 0xda), // 211: 218 or more? go to 213, else 212
    i(0x35, 75, 76, 0xbe), // 212: 190 or more? go to 288, else 289
    i(0x35, 74, 75, 0xdb), // 213: 219 or more? go to 288, else 289
    i(0x35, 1, 0, 0xf9), // 214: 249 or more? go to 216, else 215
    i(0x35, 72, 73, 0xe0), // 215: 224 or more? go to 288, else 289
    i(0x35, 71, 72, 0xfa), // 216: 250 or more? go to 288, else 289
    i(0x35, 3, 0, 0x10f), // 217: 271 or more? go to 221, else 218
    i(0x35, 1, 0, 0x106), // 218: 262 or more? go to 220, else 219
    i(0x35, 68, 69, 0x100), // 219: 256 or more? go to 288, else 289
    i(0x35, 67, 68, 0x107), // 220: 263 or more? go to 288, else 289
    i(0x35, 1, 0, 0x119), // 221: 281 or more? go to 223, else 222
    i(0x35, 65, 66, 0x112), // 222: 274 or more? go to 288, else 289
    i(0x35, 10, 0, 0x11a), // 223: 282 or more? go to 234, else 224
    i(0x20, 0, 0, 0x10), // 224: load the lower half of argument 0
    i(0x15, 62, 0, 0x1), // 225: 0x1? go to 288, else 226
    i(0x20, 0, 0, 0x10), // 226: load the lower half of argument 0
    i(0x15, 60, 0, 0x2), // 227: 0x2? go to 288, else 228
    i(0x20, 0, 0, 0x10), // 228: load the lower half of argument 0
    i(0x15, 58, 0, 0xa), // 229: 0xa? go to 288, else 230
    i(0x20, 0, 0, 0x10), // 230: load the lower half of argument 0
    i(0x15, 56, 0, 0x10), // 231: 0x10? go to 288, else 232
    i(0x20, 0, 0, 0x10), // 232: load the lower half of argument 0
    i(0x15, 54, 55, 0x11), // 233: 0x11? go to 288, else 289
    i(0x35, 54, 53, 0x135), // 234: 309 or more? go to 289, else 288
    i(0x35, 8, 0, 0x15b), // 235: 347 or more? go to 244, else 236
    i(0x35, 3, 0, 0x142), // 236: 322 or more? go to 240, else 237
    i(0x35, 1, 0, 0x13a), // 237: 314 or more? go to 239, else 238
    i(0x35, 50, 49, 0x139), // 238: 313 or more? go to 289, else 288
    i(0x35, 49, 48, 0x13f), // 239: 319 or more? go to 289, else 288
    i(0x35, 1, 0, 0x152), // 240: 338 or more? go to 242, else 241
    i(0x35, 47, 46, 0x151), // 241: 337 or more? go to 289, else 288
    i(0x35, 0, 45, 0x158), // 242: 344 or more? go to 243, else 288
    i(0x35, 44, 45, 0x159), // 243: 345 or more? go to 288, else 289
    i(0x35, 3, 0, 0x16f), // 244: 367 or more? go to 248, else 245
    i(0x35, 1, 0, 0x16c), // 245: 364 or more? go to 247, else 246
    i(0x35, 41, 42, 0x15c), // 246: 348 or more? go to 288, else 289
    i(0x35, 40, 41, 0x16d), // 247: 365 or more? go to 288, else 289
    i(0x35, 1, 0, 0x173), // 248: 371 or more? go to 250, else 249
    i(0x35, 38, 39, 0x170), // 249: 368 or more? go to 288, else 289
    i(0x35, 0, 38, 0x174), // 250: 372 or more? go to 251, else 289
    i(0x35, 37, 36, 0x177), // 251: 375 or more? go to 289, else 288
    i(0x35, 17, 0, 0x1b7), // 252: 439 or more? go to 270, else 253
    i(0x35, 8, 0, 0x194), // 253: 404 or more? go to 262, else 254
    i(0x35, 3, 0, 0x183), // 254: 387 or more? go to 258, else 255
    i(0x35, 1, 0, 0x17c), // 255: 380 or more? go to 257, else 256
    i(0x35, 32, 31, 0x17a), // 256: 378 or more? go to 289, else 288
    i(0x35, 31, 30, 0x182), // 257: 386 or more? go to 289, else 288
    i(0x35, 1, 0, 0x185), // 258: 389 or more? go to 260, else 259
    i(0x35, 29, 28, 0x184), // 259: 388 or more? go to 289, else 288
    i(0x35, 0, 27, 0x190), // 260: 400 or more? go to 261, else 288
    i(0x35, 26, 27, 0x193), // 261: 403 or more? go to 288, else 289
    i(0x35, 3, 0, 0x1a9), // 262: 425 or more? go to 266, else 263
    i(0x35, 1, 0, 0x19f), // 263: 415 or more? go to 265, else 264
    i(0x35, 23, 24, 0x195), // 264: 405 or more? go to 288, else 289
    i(0x35, 22, 23, 0x1a0), // 265: 416 or more? go to 288, else 289
    i(0x35, 1, 0, 0x1b3), // 266: 435 or more? go to 268, else 267
    i(0x35, 20, 21, 0x1b2), // 267: 434 or more? go to 288, else 289
    i(0x35, 0, 14, 0x1b4), // 268: 436 or more? go to 269, else 283
    i(0x35, 19, 18, 0x1b6), // 269: 438 or more? go to 289, else 288
    i(0x35, 8, 0, 0x1cb), // 270: 459 or more? go to 279, else 271
    i(0x35, 3, 0, 0x1bc), // 271: 444 or more? go to 275, else 272
    i(0x35, 1, 0, 0x1b9), // 272: 441 or more? go to 274, else 273
    i(0x35, 15, 14, 0x1b8), // 273: 440 or more? go to 289, else 288
    i(0x35, 14, 13, 0x1ba), // 274: 442 or more? go to 289, else 288
    i(0x35, 1, 0, 0x1c0), // 275: 448 or more? go to 277, else 276
    i(0x35, 12, 11, 0x1bf), // 276: 447 or more? go to 289, else 288
    i(0x35, 0, 10, 0x1c2), // 277: 450 or more? go to 278, else 288
    i(0x35, 9, 10, 0x1c3), // 278: 451 or more? go to 288, else 289
    i(0x35, 4, 0, 0xf0000), // 279: 983040 or more? go to 284, else 280
    i(0x35, 1, 0, 0x1d3), // 280: 467 or more? go to 282, else 281
    i(0x35, 6, 7, 0x1ce), // 281: 462 or more? go to 288, else 289
    i(0x35, 0, 6, 0x1d4), // 282: 468 or more? go to 283, else 289
    i(0x06, 0, 0, 0x50026), // 283: errno 38
    i(0x35, 1, 0, 0xf0003), // 284: 983043 or more? go to 286, else 285
    i(0x35, 2, 3, 0xf0001), // 285: 983041 or more? go to 288, else 289
    i(0x35, 0, 2, 0xf0005), // 286: 983045 or more? go to 287, else 289
    i(0x35, 1, 0, 0xf0006), // 287: 983046 or more? go to 289, else 288
    i(0x06, 0, 0, 0x7fff0000), // 288: allow
    i(0x06, 0, 0, 0x50001), // 289: errno 1
    i(0x06, 0, 0, 0x0), // 290: kill
];
